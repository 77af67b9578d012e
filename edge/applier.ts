import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import { type SlotdError, toSlotdError } from "../protocol/index.ts";
import { backoffMs } from "./backoff.ts";
import { routesAlike } from "./make-table.ts";
import { ProxyDownError, type Proxy as TableProxy } from "./proxy.ts";
import type { Table } from "./table.ts";

const DOWN_RETRY_MS = 500;
const REJECTED_RETRY_MIN_MS = 500;
const REJECTED_RETRY_MAX_MS = 30_000;
const LOOK_MS = 1_000;
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
  private lookAt = 0;
  private wake: () => void = () => {};
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly proxy: TableProxy,
    /** Writes down what was applied, before it is acknowledged. */
    private readonly onApplied: (table: Table) => void,
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
      const waitMs = this.settle();
      if (waitMs > 0) await this.sleep(waitMs);
      else if (this.isDue()) await this.apply(this.wanted as Table);
      else await this.look();
    }
  }

  /** Takes what needs no proxy. @returns how long there is nothing to do, in ms */
  private settle(): number {
    const { wanted, applied, refused } = this;
    const now = performance.now();
    if (wanted === null) return LOOK_MS;
    if (applied && wanted !== applied && routesAlike(wanted, applied)) {
      if (wanted.routesRevision !== applied.routesRevision) this.onApplied(wanted);
      this.applied = wanted;
      this.refused = null;
      this.tell(null);
      return 0;
    }
    if (this.downUntil > now) return this.downUntil - now;
    if (wanted === applied) return Math.max(0, this.lookAt - now);
    if (refused && routesAlike(refused.table, wanted)) return Math.max(0, refused.retryAt - now);
    return 0;
  }

  private isDue(): boolean {
    return this.wanted !== null && this.wanted !== this.applied;
  }

  private async apply(table: Table): Promise<void> {
    const began = performance.now();
    try {
      await this.proxy.apply(table, AbortSignal.any([this.stopped.signal, AbortSignal.timeout(APPLY_TIMEOUT_MS)]));
    } catch (error) {
      if (!this.stopped.signal.aborted) this.onFailure(table, error);
      return;
    }
    this.onApplied(table);
    this.applied = table;
    this.refused = null;
    this.downUntil = 0;
    this.lookAt = performance.now() + LOOK_MS;
    const { routesRevision, serversetsRevision } = table;
    this.log.info(
      { routesRevision, serversetsRevision, ms: Math.round(this.lookAt - LOOK_MS - began) },
      "table applied",
    );
    this.tell(null);
  }

  private onFailure(table: Table, error: unknown): void {
    if (error instanceof ProxyDownError) {
      this.onDown(error);
      return;
    }
    const times = this.refused && routesAlike(this.refused.table, table) ? this.refused.times + 1 : 0;
    const retryAt = performance.now() + backoffMs(times, REJECTED_RETRY_MIN_MS, REJECTED_RETRY_MAX_MS);
    this.refused = { table, times, retryAt };
    this.tell(toSlotdError(error));
  }

  private onDown(error: SlotdError): void {
    this.applied = null;
    this.refused = null;
    this.downUntil = performance.now() + DOWN_RETRY_MS;
    this.tell(error);
  }

  /** Whether the proxy still runs with what was applied. */
  private async look(): Promise<void> {
    this.lookAt = performance.now() + LOOK_MS;
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
  private tell(problem: SlotdError | null): void {
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
