import type { Logger } from "pino";
import { abortable } from "../../daemon/abortable.ts";
import { WorkersExitedError } from "../../protocol/errors.ts";
import type { WorkerEnd } from "../../protocol/host-status.ts";
import { describeEnd, type StopReason, type Worker } from "./process/worker.ts";
import type { WorkerIndex, WorkerIndexes } from "./worker-index.ts";

/** After a replacement that did not come up, the next one is tried so much later. */
const AGAIN_MS = 60_000;

/** What the replacing of workers needs of their pool. */
export interface Replaceable {
  readonly indexes: WorkerIndexes;
  isHealthy(): boolean;
  /** As many workers are ready as are wanted. */
  isWhole(): boolean;
  /** Why a worker that did not come up in time is not ready. */
  notReady(timeoutMs: number): Error;
  /** Starts a worker beside the one that has the seat. */
  addReplacement(seat: WorkerIndex): Promise<Worker>;
  /** The relief has the seat now. */
  promoted(relief: Worker): void;
  /** Ends a worker; resolves when it has ended. */
  retire(worker: Worker, why?: StopReason): Promise<void>;
  lastWords(end: WorkerEnd): Promise<string>;
  /** Resolves when something that is looked at after each change holds. */
  until(done: () => boolean, signal: AbortSignal): Promise<void>;
}

/** Replaces workers one at a time: the next one is up before the old one is told to end, so that there are never fewer ready ones. */
export class Replacer {
  /** The replacement under way; none is begun beside it. */
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

  /** Replaces a worker that is due, if the slot is well and no other is being replaced. @returns whether that was done. */
  async recycle(worker: Worker, why: string): Promise<boolean> {
    const { pool, ending } = this;
    const calm = !this.current && performance.now() >= this.notBefore && pool.isWhole();
    if (ending.signal.aborted || !calm || this.indexOf(worker).worker !== worker) return false;
    try {
      await this.alone(() => this.replace(worker, "recycled", ending.signal));
      return true;
    } catch (err) {
      if (ending.signal.aborted) return false;
      this.notBefore = performance.now() + AGAIN_MS;
      this.log.warn({ err, worker: worker.number, why }, "worker could not be recycled; it serves on");
      return false;
    }
  }

  /** Begins no more, and leaves what is under way. */
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
    const seat = this.indexOf(worker);
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      await this.bringUpReplacement(seat, bounded);
      await abortable(pool.retire(worker, why), signal);
      await pool.until(() => (seat.worker?.ready ?? false) && pool.isHealthy(), bounded);
    } catch (error) {
      signal.throwIfAborted();
      if ((error as Error).name !== "TimeoutError") throw error;
      throw pool.notReady(timeoutMs);
    }
  }

  /** Brings up the next worker of a seat beside the one that sits there. */
  private async bringUpReplacement(seat: WorkerIndex, signal: AbortSignal): Promise<void> {
    const { pool } = this;
    const relief = await pool.addReplacement(seat);
    try {
      await pool.until(() => relief.ready || !relief.alive, signal);
      if (!relief.alive) {
        const end = await relief.whenEnded();
        throw new WorkersExitedError(1, describeEnd(end), await pool.lastWords(end));
      }
      seat.worker = relief;
      seat.restarts++;
      pool.promoted(relief);
    } finally {
      if (seat.replacement === relief) seat.replacement = null;
      if (seat.worker !== relief) void pool.retire(relief);
    }
  }

  private indexOf(worker: Worker): WorkerIndex {
    return this.pool.indexes.at(worker.number);
  }
}
