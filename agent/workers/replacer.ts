import type { Logger } from "pino";
import { abortable } from "../../daemon/abortable.ts";
import { WorkersExitedError } from "../../protocol/errors.ts";
import type { WorkerEnd } from "../../protocol/host-status.ts";
import { describeEnd, type StopReason, type Worker } from "./process/worker.ts";
import type { WorkerIndex, WorkerIndexes } from "./worker-index.ts";

/** After a replacement that did not come up, none is started for this long. */
const PAUSE_MS = 60_000;

/** A pool as the replacing of workers needs it. */
export interface Replaceable {
  readonly indexes: WorkerIndexes;
  isHealthy(): boolean;
  /** As many workers are ready as are wanted. */
  isWhole(): boolean;
  /** Why a worker that did not come up in time is not ready. */
  notReady(timeoutMs: number): Error;
  /** Starts a worker beside the one that has the index. */
  addReplacement(index: WorkerIndex): Promise<Worker>;
  /** Called when a replacement has taken its index over. */
  promoted(replacement: Worker): void;
  /** Ends a worker; resolves when it has ended. */
  retire(worker: Worker, why?: StopReason): Promise<void>;
  lastWords(end: WorkerEnd): Promise<string>;
  /** Resolves once a condition holds, which is checked after each change. */
  until(done: () => boolean, signal: AbortSignal): Promise<void>;
}

/**
 * Replaces workers one at a time: the next one is up before the old one is stopped, so that the number of ready workers
 * never drops.
 */
export class Replacer {
  /** The replacing under way; there is only one at a time. */
  private current: Promise<void> | null = null;
  private readonly ending = new AbortController();
  /** Monotonic ms. */
  private notBefore = 0;

  constructor(
    private readonly pool: Replaceable,
    /** How long a worker may take to come up. */
    private readonly timeoutMs: number,
    private readonly log: Logger,
  ) {}

  /**
   * Replaces all workers.
   * @throws WorkersExitedError or NotReadyError where the next one does not come up; the old one serves on.
   */
  async roll(signal: AbortSignal, onProgress: (done: number, total: number) => void): Promise<void> {
    while (this.current) await abortable(this.current, signal);
    await this.alone(async () => {
      const old = this.pool.indexes.workers;
      for (const [done, worker] of old.entries()) {
        onProgress(done, old.length);
        if (worker.alive && this.indexOf(worker).worker === worker) await this.replace(worker, "stopped", signal);
      }
    });
  }

  /**
   * Replaces a worker that is due, if all are ready and no other is being replaced. @returns whether it was replaced.
   */
  async recycle(worker: Worker, why: string): Promise<boolean> {
    const { pool, ending } = this;
    const allowed = !this.current && performance.now() >= this.notBefore && pool.isWhole();
    if (ending.signal.aborted || !allowed || this.indexOf(worker).worker !== worker) return false;
    try {
      await this.alone(() => this.replace(worker, "recycled", ending.signal));
      return true;
    } catch (err) {
      if (ending.signal.aborted) return false;
      this.notBefore = performance.now() + PAUSE_MS;
      this.log.warn({ err, worker: worker.number, why }, "worker could not be recycled; it serves on");
      return false;
    }
  }

  /** Starts no further replacement, and abandons the one under way. */
  stop(): void {
    this.ending.abort();
  }

  private async alone(work: () => Promise<void>): Promise<void> {
    const done = work();
    this.current = done
      .catch(() => {})
      .finally(() => {
        this.current = null;
      });
    await done;
  }

  private async replace(worker: Worker, why: StopReason, signal: AbortSignal): Promise<void> {
    const { pool, timeoutMs } = this;
    const index = this.indexOf(worker);
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      await this.bringUpReplacement(index, bounded);
      await abortable(pool.retire(worker, why), signal);
      await pool.until(() => (index.worker?.ready ?? false) && pool.isHealthy(), bounded);
    } catch (error) {
      signal.throwIfAborted();
      if ((error as Error).name !== "TimeoutError") throw error;
      throw pool.notReady(timeoutMs);
    }
  }

  /** Brings up the next worker of an index beside the one that has it. */
  private async bringUpReplacement(index: WorkerIndex, signal: AbortSignal): Promise<void> {
    const { pool } = this;
    const replacement = await pool.addReplacement(index);
    try {
      await pool.until(() => replacement.ready || !replacement.alive, signal);
      if (!replacement.alive) {
        const end = await replacement.whenEnded();
        throw new WorkersExitedError(1, describeEnd(end), await pool.lastWords(end));
      }
      index.promote(replacement);
      pool.promoted(replacement);
    } finally {
      index.removeReplacement(replacement);
      if (index.worker !== replacement) void pool.retire(replacement);
    }
  }

  private indexOf(worker: Worker): WorkerIndex {
    return this.pool.indexes.at(worker.number);
  }
}
