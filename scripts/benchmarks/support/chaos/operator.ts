import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { until } from "../../../../test/support/until.ts";
import { SERVICE } from "../deploy/slotd-fleet.ts";
import { buildWeb } from "../deploy/web-release.ts";
import { end } from "../processes.ts";
import type { Run } from "../run.ts";

const MAIN = fileURLToPath(new URL("../../../../controller-stub/main.js", import.meta.url));

/** After this long, a dead run's lock is taken over: short, so that there is time for more deploys. */
const LEASE_MS = 5_000;
const PAUSE_MS = 500;
const RETRY_MS = 1_000;
/** A command is not killed before it has done something. */
const STARTING_MS = 300;
/** One deploy in so many is rolled back. */
const ROLLBACK_EVERY = 3;
const KILLED = "killed";
const DONE = "done";
/** The outcome that a command was run for is there already. */
const SETTLED = ["ALREADY_CURRENT", "NOTHING_TO_ROLL_BACK"];

/** A command that was run. Times are of the system's clock. */
export interface Attempt {
  verb: string;
  version: string | null;
  fromMs: number;
  toMs: number;
  /** `done`, `killed`, or the error's code. */
  outcome: string;
  message: string;
}

/** Deploys version after version, and does what an operator would do about every command that fails or is killed. */
export class Operator {
  readonly attempts: Attempt[] = [];
  /** How many deploys and rollbacks came to their end. */
  completed = 0;
  private child: ChildProcess | null = null;
  private startedMs = 0;
  private isKilled = false;
  private stopping = false;
  private readonly working: Promise<void>;

  private constructor(
    private readonly run: Run,
    private readonly nats: string,
    private readonly directory: string,
  ) {
    this.working = this.work();
    this.working.catch(() => {});
  }

  /** Begins with two versions, so that every slot holds one. */
  static async start(run: Run, nats: string, directory: string): Promise<Operator> {
    const operator = new Operator(run, nats, directory);
    run.own(() => operator.child && end(operator.child));
    await until("two versions are deployed", () => operator.completed >= 2);
    return operator;
  }

  /** kill -9 of the command that runs, or of the next one. No other is started before `release`. */
  async kill(): Promise<void> {
    this.run.signal.throwIfAborted();
    const isAtWork = () => this.child !== null && performance.now() - this.startedMs > STARTING_MS;
    await until("a command runs", isAtWork);
    this.isKilled = true;
    this.child?.kill("SIGKILL");
  }

  release(): void {
    this.isKilled = false;
  }

  /** Lets the deploy under way come to its end. */
  async finish(): Promise<void> {
    this.stopping = true;
    await this.working;
  }

  private async work(): Promise<void> {
    for (let number = 1; !this.stopping; number++) {
      const version = `v${number}`;
      const { archive } = await buildWeb(version, this.directory);
      await this.insist("publish", version, archive);
      await this.insist("deploy", version);
      if (number > 2 && number % ROLLBACK_EVERY === 0 && !this.stopping) await this.insist("rollback");
      await this.run.sleep(PAUSE_MS);
    }
  }

  /** Runs a command until its work is done. */
  private async insist(verb: "publish" | "deploy" | "rollback", version?: string, ...more: string[]): Promise<void> {
    const words = version === undefined ? more : [version, ...more];
    for (;;) {
      const outcome = await this.command(verb, words);
      if (outcome === DONE || SETTLED.includes(outcome)) break;
      if (verb !== "publish" && (await this.resume()) === DONE) break;
      await this.run.sleep(RETRY_MS);
    }
    if (verb !== "publish") this.completed++;
  }

  /** @returns `done`, or NO_DEPLOY where there is nothing to resume */
  private async resume(): Promise<string> {
    for (;;) {
      const outcome = await this.command("resume", []);
      if (outcome === DONE || outcome === "NO_DEPLOY") return outcome;
      await this.run.sleep(RETRY_MS);
    }
  }

  private async command(verb: string, words: readonly string[]): Promise<string> {
    while (this.isKilled) await this.run.sleep(20);
    this.run.signal.throwIfAborted();
    const options = verb === "publish" ? ["--json"] : ["--json", "--lease", String(LEASE_MS)];
    const fromMs = Date.now();
    const child = spawn(process.execPath, [MAIN, verb, SERVICE, ...words, ...options], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, SLOTD_NATS: this.nats, USER: "bench" },
    });
    this.child = child;
    this.startedMs = performance.now();
    const exited = once(child, "close") as Promise<[code: number | null]>;
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4_000);
    });
    let last = "";
    for await (const line of createInterface({ input: child.stdout })) last = line;
    const [code] = await exited;
    this.child = null;
    const { outcome, message } = code === null ? { outcome: KILLED, message: "" } : judge(code, last, said);
    const attempt = { verb, version: words[0] ?? null, fromMs, toMs: Date.now(), outcome, message };
    this.attempts.push(attempt);
    this.run.say(`  ${tell(attempt)}`);
    return outcome;
  }
}

function judge(code: number, last: string, said: string): { outcome: string; message: string } {
  if (code === 0) return { outcome: DONE, message: "" };
  try {
    const { error } = JSON.parse(last) as { error?: { code: string; message: string } };
    if (error) return { outcome: error.code, message: error.message };
  } catch {
    // It said something else.
  }
  return { outcome: `exit code ${code}`, message: said.trim() };
}

function tell({ verb, version, fromMs, toMs, outcome, message }: Attempt): string {
  const seconds = ((toMs - fromMs) / 1_000).toFixed(1);
  return `${verb} ${version ?? ""}: ${outcome} after ${seconds} s${message === "" ? "" : `: ${message}`}`;
}
