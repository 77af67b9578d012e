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
/** An apply that takes longer is aborted. */
const APPLY_TIMEOUT_MS = 30_000;

interface ApplierEvents {
  /** `applied` or `problem` changed. */
  change: [];
}

/** Applies the newest table to the proxy, one table at a time. Skips tables that a newer one has overtaken. */
export class Applier extends EventEmitter<ApplierEvents> {
  /** The table that the proxy runs with; null before the first one, and while that is unknown. */
  applied: Table | null = null;
  /** Why the proxy does not run with the newest table; null if it does, or is about to. */
  problem: SlotdError | null = null;
  private wanted: Table | null = null;
  /** The table that the proxy refused, the number of retries so far, and when the next one is due. */
  private refused: { table: Table; times: number; retryAt: number } | null = null;
  private downUntil = 0;
  private nextCheckAt = 0;
  private wake: () => void = () => {};
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly proxy: ManagedProxy,
    /** Writes the applied table to disk, before it is acknowledged. Reports failures itself and never throws. */
    private readonly writeLastGood: (table: Table) => Promise<void>,
    private readonly log: Logger,
  ) {
    super();
  }

  start(): void {
    this.running = this.run();
  }

  /** Waits for the step in progress. */
  async stop(): Promise<void> {
    this.stopped.abort();
    this.wake();
    await this.running;
  }

  /** Sets the newest table. */
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

  /**
   * Whether the proxy already routes like this table. Unknown after it refused another table, which it may have applied
   * in part.
   */
  private isApplied(table: Table): boolean {
    const { applied, refused } = this;
    return applied !== null && refused === null && table !== applied && routesAlike(table, applied);
  }

  private async adopt(table: Table): Promise<void> {
    if (table.routesRevision !== this.applied?.routesRevision) await this.writeLastGood(table);
    this.applied = table;
    this.setProblem(null);
  }

  /** How long there is nothing to do; 0: there is. */
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
   * Writes the proxy's files and the edge's own. An acknowledged table must survive a power cut: when every edge has
   * acknowledged that a version is withdrawn, its ports go to another version, and a proxy that starts with the
   * previous table would send users there. A table on disk that is not acknowledged yet does no harm, nor does a proxy
   * that is one table ahead of the disk. So both are written after the proxy runs with the table, and in parallel, so
   * that the file system commits them together.
   */
  private async persist(table: Table): Promise<void> {
    const [kept] = await Promise.allSettled([this.proxy.persist?.(), this.writeLastGood(table)]);
    if (kept.status === "fulfilled") return;
    this.applied = null; // The proxy runs with the new table but would start with the old one.
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

  /** Checks that the proxy still runs with the applied table; if not, it is applied again. */
  private async checkProxy(): Promise<void> {
    this.nextCheckAt = performance.now() + CHECK_MS;
    const { signal } = this.stopped;
    try {
      if (await this.proxy.isCurrent(signal)) return;
      this.log.warn("proxy no longer ran with its table; applying it again");
      this.applied = null;
      this.emit("change");
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ProxyDownError) this.onDown(error);
      else this.log.warn({ err: error }, "proxy could not be checked");
    }
  }

  /** Logs and emits a change. @param problem null if the proxy runs with the newest table */
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
