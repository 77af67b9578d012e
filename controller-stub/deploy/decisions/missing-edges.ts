import type { EdgeStatus } from "../../../protocol/routes.ts";

/** What edges have to be running with. The numbers are KV revisions. */
export interface EdgeRequirement {
  routes: number;
  /** The epoch of these routes. */
  epoch: number;
  serversets: number;
}

/** An edge that stands in the bucket; `status` is null where it can't be read, and `problem` says why. */
export interface KnownEdge {
  edge: string;
  status: EdgeStatus | null;
  problem?: string;
}

export interface MissingEdge {
  edge: string;
  why: string;
  /** When it last reported; null where that can't be told. */
  lastSeen: string | null;
}

/**
 * The edges that are not yet running with what is needed. An edge whose lease is over is waited for all the same: its proxy goes on
 * routing by the table that it has.
 */
export function missingEdges(
  edges: Iterable<KnownEdge>,
  need: EdgeRequirement,
  without: readonly string[],
): MissingEdge[] {
  return [...edges]
    .filter(({ edge }) => !without.includes(edge))
    .flatMap(({ edge, status, problem }): MissingEdge[] => {
      if (status === null) return [{ edge, why: `its status can't be read: ${problem ?? "unknown"}`, lastSeen: null }];
      const why = lack(status, need);
      return why === null ? [] : [{ edge, why, lastSeen: status.at }];
    })
    .sort((x, y) => (x.edge < y.edge ? -1 : 1));
}

function lack(status: EdgeStatus, need: EdgeRequirement): string | null {
  const { appliedRoutes, appliedServersets, epoch, problems } = status;
  const trouble =
    problems.length > 0 ? ` (${problems.map(({ code, message }) => `${code}: ${message}`).join("; ")})` : "";
  if (appliedRoutes < need.routes) return `runs with routes ${appliedRoutes}, not ${need.routes}${trouble}`;
  if (epoch !== need.epoch) return `acknowledges epoch ${epoch}, not ${need.epoch}${trouble}`;
  if (appliedServersets < need.serversets)
    return `runs with members ${appliedServersets}, not ${need.serversets}${trouble}`;
  return null;
}
