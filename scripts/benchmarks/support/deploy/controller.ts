import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { start, temporaryDirectory } from "../processes.ts";
import type { Run } from "../run.ts";

const MAIN = fileURLToPath(new URL("../../../../controller-stub/main.js", import.meta.url));
const HOOK = new URL("./usage-hook.js", import.meta.url).href;

/** A barrier, by the controller's clock: from when it had written the routes to the last acknowledgement. */
export interface BarrierTime {
  routes: number;
  edges: number;
  ms: number;
}

export interface StepTime {
  step: string;
  ms: number;
  barriers: BarrierTime[];
}

/** What a verb that works on a deploy took. */
export interface VerbResult {
  /** From just before the process was started to its end. */
  wallMs: number;
  cpuMs: number;
  peakRssMb: number;
  steps: StepTime[];
}

/** The command `slotd-controller`, as a process of its own for each verb. */
export class Controller {
  private constructor(
    private readonly run: Run,
    private readonly nats: string,
    private readonly directory: string,
  ) {}

  static create(run: Run, nats: string): Controller {
    return new Controller(run, nats, temporaryDirectory(run, "controller"));
  }

  /** @throws with what it said, where it did not end well */
  async do(verb: string, ...args: readonly string[]): Promise<VerbResult> {
    const usageFile = join(this.directory, "usage.json");
    const began = performance.now();
    const child = await start(this.run, process.execPath, ["--import", HOOK, MAIN, verb, ...args, "--json"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, SLOTD_NATS: this.nats, USER: "bench", BENCH_USAGE: usageFile },
    });
    const exited = once(child, "close").then(([code]) => ({ code, wallMs: performance.now() - began }));
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    let last = "";
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) last = line;
    const { code, wallMs } = await exited;
    this.run.signal.throwIfAborted();
    if (code !== 0) throw new Error(`slotd-controller ${verb} ${args.join(" ")} ended with ${code}: ${said}${last}`);
    const usage = JSON.parse(readFileSync(usageFile, "utf8")) as NodeJS.ResourceUsage;
    const cpuMs = (usage.userCPUTime + usage.systemCPUTime) / 1_000;
    const { steps = [] } = JSON.parse(last) as { steps?: StepTime[] };
    return { wallMs, cpuMs, peakRssMb: usage.maxRSS / 1_024, steps };
  }
}
