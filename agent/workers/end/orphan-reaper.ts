import type { Logger } from "pino";
import { type ProcessIdentity, processStat } from "../../os/process.ts";
import type { WorkerSpec } from "../process/spec.ts";
import type { Worker } from "../process/worker.ts";
import { endTree, signalExactly } from "./end-tree.ts";
import { orphansOf } from "./find-orphans.ts";

/** Ends what workers that ended by themselves, or one by one, left of their trees. */
export class OrphanReaper {
  /** Workers that ended, and whose trees may not be gone yet. */
  private readonly departed = new Set<Worker>();
  /** Of those, the ones whose trees are being ended: they got their signal. */
  private readonly ending = new Set<Worker>();
  private soon: NodeJS.Immediate | undefined;
  private stopped = false;

  constructor(
    private readonly spec: WorkerSpec,
    private readonly living: ReadonlySet<Worker>,
    private readonly log: Logger,
  ) {}

  /** Has the tree of a worker that has ended checked. Workers that end together cost one check. */
  add(worker: Worker): void {
    this.departed.add(worker);
    if (this.stopped) return;
    this.soon ??= setImmediate(() => void this.endOrphans());
  }

  /** Ends no more. @returns the workers whose trees may still be there. */
  stop(): ProcessIdentity[] {
    this.stopped = true;
    clearImmediate(this.soon);
    return [...this.departed].map((worker) => worker.identity);
  }

  private async endOrphans(): Promise<void> {
    this.soon = undefined;
    const gone = [...this.departed].filter((worker) => !this.ending.has(worker));
    for (const worker of gone) this.ending.add(worker);
    const { slot, token, config } = this.spec;
    const only = orphansOf(
      token,
      gone,
      [...this.living].map((worker) => worker.pid),
    );
    if (only.length > 0)
      this.log.warn({ pids: only.map(({ pid }) => pid) }, "processes that a worker left are being ended");
    try {
      // A second signal would cut short what the first one began: a wrapper such as npm ends before its app does.
      const told = new Set(gone.filter((worker) => worker.stopping).map((worker) => worker.pid));
      const untold = only.filter(({ pid }) => !told.has(processStat(pid)?.group ?? 0));
      for (const identity of untold) signalExactly(identity, config.app.stop_signal as NodeJS.Signals);
      await endTree({ slot, token, leaders: [], cgroup: null, only }, config.app.stop_grace_ms);
      // What was started meanwhile is in its group, where it has one.
      await Promise.all(gone.map((worker) => worker.cgroup?.end()));
      for (const worker of gone) this.departed.delete(worker);
    } catch (error) {
      this.log.error({ err: error }, "processes that a worker left could not be ended");
    } finally {
      for (const worker of gone) this.ending.delete(worker);
    }
  }
}
