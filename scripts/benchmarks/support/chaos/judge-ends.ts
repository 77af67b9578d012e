import type { Stored } from "../deploy/bus-record.ts";

/** A worker's process, and when it was seen. Times are of the system's clock. */
export interface WorkerLife {
  host: string;
  slot: string;
  version: string;
  pid: number;
  firstSeenMs: number;
  /** When it was first seen to be gone; null while it lives. */
  goneMs: number | null;
}

/** What a slot was ordered to hold: a version, or nothing. */
export interface SlotOrder {
  host: string;
  slot: string;
  version: string | null;
}

/**
 * The workers that ended although nothing was ordered that replaces their version: after the last order for it that
 * they can be due to, and before they were gone, none for that slot names another.
 */
export function endedUnordered(lives: readonly WorkerLife[], orders: readonly Stored<SlotOrder>[]): WorkerLife[] {
  return lives.filter(({ host, slot, version, firstSeenMs, goneMs }) => {
    if (goneMs === null) return false;
    const own = orders.filter(({ value }) => value.host === host && value.slot === slot);
    const due = own.findLastIndex(({ atMs, value }) => value.version === version && atMs <= firstSeenMs);
    return !own.slice(due + 1).some(({ atMs, value }) => value.version !== version && atMs <= goneMs);
  });
}
