import type { DrainRecord } from "../../../protocol/host-status.ts";
import { plural } from "./amounts.ts";
import { duration } from "./duration.ts";
import { oneLine } from "./text.ts";

/** `1.4.1 in 12s: edges acked, requests idle; 2 idle connections left, 1 upgraded connection cut, 0 requests cut` */
export function drainText({
  version,
  durationMs,
  edges,
  missingEdges = [],
  idle,
  idleConnections,
  cutUpgraded = 0,
  cutRequests,
  reason,
}: DrainRecord): string {
  const missing = missingEdges.length === 0 ? "" : ` (without ${missingEdges.join(", ")})`;
  const why = reason === undefined ? "" : ` (${JSON.stringify(oneLine(reason))})`;
  const upgraded = cutUpgraded === 0 ? "" : `${plural(cutUpgraded, "upgraded connection")} cut, `;
  return (
    `${version} in ${duration(durationMs)}: edges ${edges}${missing}, requests ${idle}; ` +
    `${plural(idleConnections, "idle connection")} left, ${upgraded}${plural(cutRequests, "request")} cut${why}`
  );
}
