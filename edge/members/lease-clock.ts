import type { KnownMembers } from "./members.ts";

/** How often leases are checked. */
export const LEASE_TICK_MS = 500;
/**
 * If neither a member nor this edge managed a write for this long, the bus may accept no writes at all. Silence then
 * says nothing about who is alive. Longer than the edge's own heartbeat, and shorter than what is left of a member's
 * lease after the member's heartbeat.
 */
const WRITTEN_WITHIN_MS = 7_000;

/**
 * Decides when members' leases run. They stand still, and start afresh afterwards, while nobody could have been heard:
 * while the serverset can't be watched, while the bus accepts no writes, and while this process itself was suspended.
 * Times are on a monotonic clock, in ms.
 */
export class LeaseClock {
  private isWatched = false;
  private lastWriteAt = Number.NEGATIVE_INFINITY;
  private lastTickAt = performance.now();

  constructor(private readonly members: KnownMembers) {}

  /** A member was written just now. */
  onMemberWritten(now: number): void {
    this.lastWriteAt = now;
  }

  /** Whether the serverset can be watched. */
  setWatched(isWatched: boolean, now: number): void {
    this.isWatched = isWatched;
    if (isWatched) this.members.renew(now);
  }

  /**
   * Call this every `LEASE_TICK_MS`.
   * @param ownWriteAt when the bus last stored something that this edge wrote
   * @returns whether a lease lapsed
   */
  tick(now: number, ownWriteAt: number): boolean {
    // After a suspension, what was written meanwhile has not been read yet.
    const wasSuspended = now - this.lastTickAt > 4 * LEASE_TICK_MS;
    this.lastTickAt = now;
    const acceptsWrites = now - Math.max(this.lastWriteAt, ownWriteAt) <= WRITTEN_WITHIN_MS;
    if (wasSuspended || !acceptsWrites) {
      this.members.renew(now);
      return false;
    }
    return this.isWatched && this.members.lapse(now);
  }
}
