import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import { type SlotdError, toSlotdError } from "../protocol/errors.ts";
import { ApplySchedule } from "./apply-schedule.ts";
import { type ManagedProxy, ProxyDownError } from "./proxies/contract.ts";
import { routesAlike } from "./table/make-table.ts";
import type { Table } from "./table/table.ts";

/** A proxy that has not taken a table within this time is told to abort. */
const APPLY_TIMEOUT_MS = 30_000;

interface ApplierEvents {
  /** `applied` or `problem` changed. */
  change: [];
}

/**
 * Gives the newest table to the proxy, one at a time; tables that were replaced in the meantime are skipped.
 * `applied` is the table that the proxy runs with: null before the first one, and whenever that is not known.
 */
export class Applier extends EventEmitter<ApplierEvents> {
  applied: Table | null = null;
  /** Why `applied` is not the newest table; null if it is, or is about to be. */
  problem: SlotdError | null = null;
  private wanted: Table | null = null;
  private readonly schedule = new ApplySchedule();
  private wake: () => void = () => {};
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly proxy: ManagedProxy,
    /**
     * Saves the table that the proxy runs with, before it is acknowledged. Must not reject: it reports its failures
     * itself.
     */
    private readonly save: (table: Table) => Promise<void>,
    private readonly log: Logger,
  ) {
    super();
  }

  start(): void {
    this.running = this.run();
  }

  /** Resolves when the step under way has ended. */
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
      const { wanted, applied } = this;
      if (wanted !== null && this.isApplied(wanted)) {
        await this.adopt(wanted);
        continue;
      }
      const pauseMs = this.schedule.pauseMs(wanted, applied, performance.now());
      if (pauseMs > 0) await this.pause(pauseMs);
      else if (wanted !== null && wanted !== applied) await this.apply(wanted);
      else await this.checkProxy();
    }
  }

  /**
   * Whether the proxy already routes as another table says. After a rejection it may have taken part of the rejected
   * one.
   */
  private isApplied(table: Table): boolean {
    const { applied } = this;
    return applied !== null && !this.schedule.hasRejected && table !== applied && routesAlike(table, applied);
  }

  private async adopt(table: Table): Promise<void> {
    if (table.routesRevision !== this.applied?.routesRevision) await this.save(table);
    this.applied = table;
    this.setProblem(null);
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
    this.schedule.onApplied(now);
    const { routesRevision, serversetsRevision } = table;
    const [ms, keptMs] = [now - began, now - ranAt].map(Math.round);
    this.log.info({ routesRevision, serversetsRevision, ms, keptMs }, "table applied");
    this.setProblem(null);
  }

  /**
   * What is acknowledged must survive a power cut, not only the end of a process: once every edge has acknowledged that
   * a version is withdrawn, its ports are given to another one, and a proxy that started with the previous table would
   * send its users there. A table that is on disk but not acknowledged does no harm, and neither does a proxy that is
   * one table ahead of its disk. So once the proxy runs with the table, its file and the edge's are written at the same
   * time, for the file system to commit both together.
   */
  private async persist(table: Table): Promise<void> {
    const [persisted] = await Promise.allSettled([this.proxy.persist?.(), this.save(table)]);
    if (persisted.status === "fulfilled") return;
    this.applied = null; // The proxy runs with the new table, but would start with the old one.
    throw persisted.reason;
  }

  private onFailure(table: Table, error: unknown): void {
    if (error instanceof ProxyDownError) {
      this.onDown(error);
      return;
    }
    this.schedule.onRejected(table, performance.now());
    this.setProblem(toSlotdError(error));
  }

  private onDown(error: SlotdError): void {
    this.applied = null;
    this.schedule.onDown(performance.now());
    this.setProblem(error);
  }

  /** Checks that the proxy still runs with what was applied. */
  private async checkProxy(): Promise<void> {
    this.schedule.onCheck(performance.now());
    const { signal } = this.stopped;
    try {
      if (await this.proxy.isCurrent(signal)) return;
      this.log.warn("proxy no longer ran with its table; it is applied again");
      this.applied = null;
      this.emit("change");
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ProxyDownError) this.onDown(error);
      else this.log.warn({ err: error }, "proxy could not be checked");
    }
  }

  private setProblem(problem: SlotdError | null): void {
    if (problem?.message !== this.problem?.message) {
      if (problem) this.log.error({ ...problem.toWire() }, "table was not applied");
      else this.log.info("proxy runs with the newest table again");
    }
    this.problem = problem;
    this.emit("change");
  }

  /** Resolves after this time, or as soon as another table is wanted. */
  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), ms);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = () => {};
        resolve();
      };
    });
  }
}
