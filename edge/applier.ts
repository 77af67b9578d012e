import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import { backoffMs } from "../daemon/backoff.ts";
import { type SlotdError, toSlotdError } from "../protocol/errors.ts";
import { type ManagedProxy, ProxyDownError } from "./proxies/contract.ts";
import { routesAlike } from "./table/make-table.ts";
import type { Table } from "./table/table.ts";

const DOWN_RETRY_MS = 500;
const REJECTED_RETRY_MIN_MS = 500;
const REJECTED_RETRY_MAX_MS = 30_000;
const CHECK_MS = 1_000;
/** A proxy that has not taken a table by then is told to give up. */
const APPLY_TIMEOUT_MS = 30_000;

interface ApplierEvents {
  /** What the proxy runs with, or why not with the newest table, is another than before. */
  change: [];
}

/**
 * Brings the newest table to the proxy; one at a time, and what was overtaken meanwhile not at all.
 * `applied` is what the proxy runs with: null before the first table, and where that is not known.
 */
export class Applier extends EventEmitter<ApplierEvents> {
  applied: Table | null = null;
  /** Why it is not the newest; null where it is, or is about to be. */
  problem: SlotdError | null = null;
  private wanted: Table | null = null;
  /** The table that was refused, how often, and when it is tried again. */
  private refused: { table: Table; times: number; retryAt: number } | null = null;
  private downUntil = 0;
  private nextCheckAt = 0;
  private wake: () => void = () => {};
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly proxy: ManagedProxy,
    /** Writes down what was applied, before it is acknowledged. Does not fail: it reports by itself where it can't. */
    private readonly writeLastGood: (table: Table) => Promise<void>,
    private readonly log: Logger,
  ) {
    super();
  }

  start(): void {
    this.running = this.run();
  }

  /** Waits until what is under way has ended. */
  async stop(): Promise<void> {
    this.stopped.abort();
    this.wake();
    await this.running;
  }

  /** The newest table. One that routes as the applied one does is applied already. */
  want(table: Table): void {
    this.wanted = table;
    this.wake();
  }

  private async run(): Promise<void> {
    while (!this.stopped.signal.aborted) {
      const { wanted } = this;
      if (wanted !== null && this.isApplied(wanted)) await this.adopt(wanted);
      else if (this.pauseMs() > 0) await this.sleep(this.pauseMs());
      else if (wanted !== null && wanted !== this.applied) await this.apply(wanted);
      else await this.checkProxy();
    }
  }

  /** Whether a table needs nothing of the proxy, which routes like that already. One that refused another may have begun to take it. */
  private isApplied(table: Table): boolean {
    const { applied, refused } = this;
    return applied !== null && refused === null && table !== applied && routesAlike(table, applied);
  }

  private async adopt(table: Table): Promise<void> {
    if (table.routesRevision !== this.applied?.routesRevision) await this.writeLastGood(table);
    this.applied = table;
    this.setProblem(null);
  }

  /** How long there is nothing to do. */
  private pauseMs(): number {
    const { wanted, applied, refused } = this;
    const now = performance.now();
    if (wanted === null) return CHECK_MS;
    if (this.downUntil > now) return this.downUntil - now;
    if (wanted === applied) return Math.max(0, this.nextCheckAt - now);
    if (refused && routesAlike(refused.table, wanted)) return Math.max(0, refused.retryAt - now);
    return 0;
  }

  private async apply(table: Table): Promise<void> {
    const began = performance.now();
    let ranAt = began;
    try {
      await this.proxy.apply(table, AbortSignal.any([this.stopped.signal, AbortSignal.timeout(APPLY_TIMEOUT_MS)]));
      ranAt = performance.now();
      await this.persist(table);
    } catch (error) {
      if (!this.stopped.signal.aborted) this.onFailure(table, error);
      return;
    }
    const now = performance.now();
    this.applied = table;
    this.refused = null;
    this.downUntil = 0;
    this.nextCheckAt = now + CHECK_MS;
    const { routesRevision, serversetsRevision } = table;
    const [ms, keptMs] = [now - began, now - ranAt].map(Math.round);
    this.log.info({ routesRevision, serversetsRevision, ms, keptMs }, "table applied");
    this.setProblem(null);
  }

  /**
   * What is acknowledged has to outlast a power cut, and not only the end of a process: once everybody has acknowledged that a version is
   * withdrawn, its ports are given to another one, and a proxy that comes up with the table from before would send its users there. A
   * table on disk that is not acknowledged yet does no harm, and neither does a proxy that is a table ahead of its disk. So both files,
   * the proxy's and the edge's own, are written when the proxy runs with the table, at once, for the file system to commit them together.
   */
  private async persist(table: Table): Promise<void> {
    const [kept] = await Promise.allSettled([this.proxy.persist?.(), this.writeLastGood(table)]);
    if (kept.status === "fulfilled") return;
    this.applied = null; // It runs with the new table, and would start with the old one.
    throw kept.reason;
  }

  private onFailure(table: Table, error: unknown): void {
    if (error instanceof ProxyDownError) {
      this.onDown(error);
      return;
    }
    const times = this.refused && routesAlike(this.refused.table, table) ? this.refused.times + 1 : 0;
    const retryAt = performance.now() + backoffMs(times, REJECTED_RETRY_MIN_MS, REJECTED_RETRY_MAX_MS);
    this.refused = { table, times, retryAt };
    this.setProblem(toSlotdError(error));
  }

  private onDown(error: SlotdError): void {
    this.applied = null;
    this.refused = null;
    this.downUntil = performance.now() + DOWN_RETRY_MS;
    this.setProblem(error);
  }

  /** Whether the proxy still runs with what was applied. */
  private async checkProxy(): Promise<void> {
    this.nextCheckAt = performance.now() + CHECK_MS;
    const { signal } = this.stopped;
    try {
      if (await this.proxy.isCurrent(signal)) return;
      this.log.warn("proxy did not run with its table any more; it is applied again");
      this.applied = null;
      this.emit("change");
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ProxyDownError) this.onDown(error);
      else this.log.warn({ err: error }, "proxy could not be looked at");
    }
  }

  /** @param problem null where all is well */
  private setProblem(problem: SlotdError | null): void {
    if (problem?.message !== this.problem?.message) {
      if (problem) this.log.error({ ...problem.toWire() }, "table was not applied");
      else this.log.info("proxy runs with the newest table again");
    }
    this.problem = problem;
    this.emit("change");
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const self = this;
      function done() {
        clearTimeout(timer);
        self.wake = () => {};
        resolve();
      }
      this.wake = done;
    });
  }
}
