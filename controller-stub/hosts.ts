import type { HostStatus } from "../protocol/host-status.ts";

/** A host that has not reported for this long may be gone: agents report every 5 s. */
export const staleAfterMs = 15_000;

/** How old a status is by this machine's clock. Clocks differ, so it is never negative. */
export function reportAgeMs(status: HostStatus, now: number): number {
  return Math.max(0, now - Date.parse(status.observedAt));
}

export function isStale(status: HostStatus, now: number): boolean {
  return reportAgeMs(status, now) > staleAfterMs;
}
