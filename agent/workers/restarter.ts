import type { Logger } from "pino";
import { backoffMs } from "../../daemon/backoff.ts";
import type { Config } from "../config/schema.ts";
import type { WorkerIndex, WorkerIndexes } from "./worker-index.ts";

/** Starts the workers that are missing; one that ends again and again is started after ever longer waits. */
export class Restarter {
  private stopped = false;

  constructor(
    private readonly indexes: WorkerIndexes,
    private readonly app: Pick<Config["app"], "restart_backoff_min_ms" | "restart_backoff_max_ms">,
    /** Starts an index's worker. */
    private readonly start: (index: WorkerIndex) => Promise<void>,
    private readonly log: Logger,
  ) {}

  /**
   * Starts every worker that is missing, until stopped: then the pool's sockets may be closed. What can't be started is
   * tried again later.
   * @throws why a worker can't be started, where no worker runs.
   */
  async startMissing(): Promise<void> {
    for (const index of this.indexes.wanted) {
      if (this.stopped) return;
      if (index.worker) continue;
      try {
        await this.start(index);
      } catch (error) {
        if (this.stopped) return;
        if (this.indexes.workers.length === 0) throw error;
        this.onStartFailed(index, error);
      }
    }
  }

  /** Starts an index's next worker: at once after an expected end, else after a wait. */
  restart(index: WorkerIndex): void {
    if (!this.isNeeded(index)) return;
    const { failures } = index;
    const { restart_backoff_min_ms: minMs, restart_backoff_max_ms: maxMs } = this.app;
    index.restartAfter(failures === 0 ? 0 : backoffMs(failures - 1, minMs, maxMs), () => {
      if (this.isNeeded(index)) this.start(index).catch((error) => this.onStartFailed(index, error));
    });
  }

  stop(): void {
    this.stopped = true;
    this.indexes.stop();
  }

  private isNeeded(index: WorkerIndex): boolean {
    return !this.stopped && this.indexes.isWanted(index);
  }

  private onStartFailed(index: WorkerIndex, error: unknown): void {
    if (this.stopped) return;
    this.log.error({ err: error, worker: index.number }, "worker could not be started");
    index.countFailure();
    this.restart(index);
  }
}
