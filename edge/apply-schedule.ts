import { backoffMs } from "../daemon/backoff.ts";
import { routesAlike } from "./table/make-table.ts";
import type { Table } from "./table/table.ts";

const DOWN_RETRY_MS = 500;
const REJECTED_RETRY_MIN_MS = 500;
const REJECTED_RETRY_MAX_MS = 30_000;
const CHECK_EVERY_MS = 1_000;

/** When the applier acts next. Times are on a monotonic clock, in ms. */
export class ApplySchedule {
  private rejected: { table: Table; times: number; retryAt: number } | null = null;
  private downUntil = 0;
  private checkAt = 0;

  /** Whether the last table was rejected: the proxy may have taken part of it. */
  get hasRejected(): boolean {
    return this.rejected !== null;
  }

  onApplied(now: number): void {
    this.rejected = null;
    this.downUntil = 0;
    this.checkAt = now + CHECK_EVERY_MS;
  }

  onCheck(now: number): void {
    this.checkAt = now + CHECK_EVERY_MS;
  }

  /** The same table is tried again with growing pauses. */
  onRejected(table: Table, now: number): void {
    const times = this.rejected && routesAlike(this.rejected.table, table) ? this.rejected.times + 1 : 0;
    const retryAt = now + backoffMs(times, REJECTED_RETRY_MIN_MS, REJECTED_RETRY_MAX_MS);
    this.rejected = { table, times, retryAt };
  }

  onDown(now: number): void {
    this.rejected = null;
    this.downUntil = now + DOWN_RETRY_MS;
  }

  /** How long there is nothing to do, unless another table is wanted. */
  pauseMs(wanted: Table | null, applied: Table | null, now: number): number {
    if (wanted === null) return CHECK_EVERY_MS;
    if (this.downUntil > now) return this.downUntil - now;
    if (wanted === applied) return Math.max(0, this.checkAt - now);
    if (this.rejected && routesAlike(this.rejected.table, wanted)) return Math.max(0, this.rejected.retryAt - now);
    return 0;
  }
}
