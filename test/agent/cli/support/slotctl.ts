import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

export const slotctlPath = fileURLToPath(new URL("../../../../agent/cli/main.js", import.meta.url));

export interface Ended {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

interface Options {
  env?: Record<string, string>;
  uid?: number;
}

/** The compiled command as a real process, killed at the end of its test. */
export class Slotctl extends EventEmitter<{ output: [] }> {
  stdout = "";
  stderr = "";
  readonly ended: Promise<Ended>;

  constructor(readonly child: ChildProcess) {
    super();
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.take("stdout", text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.take("stderr", text));
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode, signal) => {
        this.emit("output");
        resolve({ exitCode, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** Resolves when stdout or stderr contains a text; rejects if the process ends without it. */
  async until(pattern: RegExp, stream: "stdout" | "stderr" = "stdout"): Promise<void> {
    while (!pattern.test(this[stream])) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`ended without ${pattern}:\n${this.stdout}\n${this.stderr}`);
      await once(this, "output");
    }
  }

  private take(stream: "stdout" | "stderr", text: string): void {
    this[stream] += text;
    this.emit("output");
  }
}

/** Starts slotctl with pipes for its output, and its own environment. */
export function startSlotctl(t: TestContext, args: string[], { env = {}, uid }: Options = {}): Slotctl {
  return launch(t, process.execPath, [slotctlPath, ...args], { ...env }, uid);
}

export function slotctl(t: TestContext, args: string[], options: Options = {}): Promise<Ended> {
  return startSlotctl(t, args, options).ended;
}

/** Starts slotctl on a terminal of 200 columns and 30 rows, made by script(1). Write input to `child.stdin`. */
export function onTerminal(t: TestContext, args: string[], { env = {} }: Options = {}): Slotctl {
  const command = `stty rows 30 cols 200 -echo; exec ${[process.execPath, slotctlPath, ...args].map(quote).join(" ")}`;
  return launch(t, "script", ["-qefc", command, "/dev/null"], { TERM: "xterm", SHELL: "/bin/sh", ...env });
}

function launch(t: TestContext, command: string, args: string[], env: Record<string, string>, uid?: number): Slotctl {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...env },
    ...(uid !== undefined && { uid, gid: uid }),
  });
  child.stdin.on("error", () => {}); // it may have ended before it read
  const started = new Slotctl(child);
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await started.ended.catch(() => {});
  });
  return started;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
