import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { end } from "../processes.ts";
import type { Run } from "../run.ts";
import type { PhaseResult } from "./tally.ts";

/** Whom to ask: the members of a serverset as they come and go, or one port for ever. */
export type LoadOptions = ({ nats: string; key: string } | { port: number }) & {
  /** Requests at once, at most: a quarter each for GET and POST with kept and with new connections. */
  concurrency: number;
  /** What a client waits between two requests, on average. */
  pauseMs: number;
};

export type ToLoad = { kind: "phase"; name: string } | { kind: "stop" };
export type FromLoad = { kind: "ready" } | { kind: "result"; phases: Record<string, PhaseResult> };

/** The load generator, a process of its own. It counts by phase. */
export class Load {
  private constructor(private readonly child: ChildProcess) {}

  static async start(run: Run, options: LoadOptions): Promise<Load> {
    run.signal.throwIfAborted();
    const child = fork(new URL("./main.js", import.meta.url), [JSON.stringify(options)]);
    run.own(() => end(child));
    const load = new Load(child);
    await load.heard("ready");
    return load;
  }

  /** What is begun from now on counts for this phase. */
  phase(name: string): void {
    this.say({ kind: "phase", name });
  }

  async stop(): Promise<Record<string, PhaseResult>> {
    const result = this.heard("result");
    this.say({ kind: "stop" });
    return (await result).phases;
  }

  private say(message: ToLoad): void {
    this.child.send(message);
  }

  private async heard<K extends FromLoad["kind"]>(kind: K): Promise<Extract<FromLoad, { kind: K }>> {
    const failed = once(this.child, "exit").then(([code]) => {
      throw new Error(`the load generator ended with ${code}`);
    });
    const [message] = (await Promise.race([once(this.child, "message"), failed])) as [FromLoad];
    if (message.kind !== kind) throw new Error(`the load generator said ${message.kind} instead of ${kind}`);
    return message as Extract<FromLoad, { kind: K }>;
  }
}
