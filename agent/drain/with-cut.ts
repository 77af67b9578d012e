import type { DrainRecord } from "../../protocol/host-status.ts";

/**
 * A drain's record, completed when its workers were killed: connections that they kept open after the stop signal were
 * upgraded ones, and not idle.
 * @param cut how many were still open then; those with a request are among them, and counted already
 * @returns null where that changes nothing
 */
export function withCut(record: DrainRecord, cut: number): DrainRecord | null {
  const { idleConnections, cutRequests, cutUpgraded: before = 0 } = record;
  const cutUpgraded = Math.max(before, cut - cutRequests);
  if (cutUpgraded === before) return null;
  return { ...record, idleConnections: Math.max(0, idleConnections + before - cutUpgraded), cutUpgraded };
}
