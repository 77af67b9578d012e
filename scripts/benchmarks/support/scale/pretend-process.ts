import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { PretendOptions } from "../../../../test/support/pretend/fleet.ts";
import { end } from "../processes.ts";
import type { Run } from "../run.ts";

export type ToPretend = { kind: "violations" };
export type FromPretend = { kind: "ready" } | { kind: "violations"; violations: string[] };

/** Fleets that pretend, in a process of their own. */
export class PretendProcess {
  private constructor(private readonly child: ChildProcess) {}

  static async start(run: Run, fleets: readonly PretendOptions[]): Promise<PretendProcess> {
    run.signal.throwIfAborted();
    const child = fork(new URL("./pretend-child.js", import.meta.url), [JSON.stringify(fleets)], { execArgv: [] });
    run.own(() => end(child, "SIGKILL"));
    const pretending = new PretendProcess(child);
    await pretending.heard("ready");
    return pretending;
  }

  /** What must never happen, and did. */
  async violations(): Promise<string[]> {
    const heard = this.heard("violations");
    this.child.send({ kind: "violations" } satisfies ToPretend);
    return (await heard).violations;
  }

  private async heard<K extends FromPretend["kind"]>(kind: K): Promise<Extract<FromPretend, { kind: K }>> {
    const over = new AbortController();
    try {
      const ended = once(this.child, "exit", { signal: over.signal }).then(([code, signal]) => {
        throw new Error(`the fleet's process ended with ${code ?? signal}`);
      });
      const [message] = (await Promise.race([once(this.child, "message", { signal: over.signal }), ended])) as [
        FromPretend,
      ];
      if (message.kind !== kind) throw new Error(`the fleet's process said ${message.kind} instead of ${kind}`);
      return message as Extract<FromPretend, { kind: K }>;
    } finally {
      over.abort();
    }
  }
}
