import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { end } from "../processes.ts";
import type { Run } from "../run.ts";

/** What became of the requests that were sent in a phase. */
export interface Latencies {
  requests: number;
  failed: number;
  p50Ms: number;
  p99Ms: number;
}

/** Requests at a fixed rate, whatever becomes of those before: a process of its own. */
export class SteadyLoad {
  private readonly gone: Promise<never>;

  private constructor(private readonly child: ChildProcess) {
    this.gone = once(child, "exit").then(([code]) => {
      throw new Error(`the load generator ended with ${code}`);
    });
    // At the end of a run nobody waits for it.
    this.gone.catch(() => {});
  }

  static async start(run: Run, url: string, perSecond: number): Promise<SteadyLoad> {
    run.signal.throwIfAborted();
    const child = fork(new URL("./steady-load-main.js", import.meta.url), [url, String(perSecond)]);
    run.own(() => end(child));
    await once(child, "spawn");
    return new SteadyLoad(child);
  }

  /** Ends a phase, in which requests were sent since the last one. @returns what became of them. */
  async take(): Promise<Latencies> {
    this.child.send("take");
    const [latencies] = (await Promise.race([once(this.child, "message"), this.gone])) as [Latencies];
    return latencies;
  }
}
