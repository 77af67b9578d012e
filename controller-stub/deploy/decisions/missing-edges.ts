import { type EdgeStatus, edgeHeartbeatMs } from "../../../protocol/routes.ts";

/** What edges must have applied before a step ends. The numbers are KV revisions. */
export interface EdgeRequirement {
  routes: number;
  /** The epoch of these routes. */
  epoch: number;
  serversets: number;
}

/** An edge in the bucket; `status` is null where it can't be read, and `problem` says why. */
export interface KnownEdge {
  edge: string;
  status: EdgeStatus | null;
  problem?: string;
}

export interface MissingEdge {
  edge: string;
  why: string;
  /** When it last reported; null where that is unknown. */
  lastSeen: string | null;
  /** Why it will not apply these routes, so that waiting is in vain; missing where it may still do so. */
  refusal?: string;
}

/**
 * An edge that reports a problem with its routes for this long since they were written has seen them, and refuses them.
 */
const REFUSES_AFTER_MS = 1.5 * edgeHeartbeatMs;

/**
 * The edges that have not yet applied what is needed. One whose lease is over is waited for too: its proxy still routes
 * by the table that it has.
 * @param firstReports `at` of each edge's first report that the barrier saw
 */
export function missingEdges(
  edges: Iterable<KnownEdge>,
  need: EdgeRequirement,
  without: readonly string[],
  firstReports: ReadonlyMap<string, string> = new Map(),
): MissingEdge[] {
  return [...edges]
    .filter(({ edge }) => !without.includes(edge))
    .flatMap(({ edge, status, problem }): MissingEdge[] => {
      if (status === null) return [{ edge, why: `its status can't be read: ${problem ?? "unknown"}`, lastSeen: null }];
      const why = lack(status, need);
      if (why === null) return [];
      const refusal = refusalOf(status, need, firstReports.get(edge));
      return [{ edge, why, lastSeen: status.at, ...(refusal !== null && { refusal }) }];
    })
    .sort((x, y) => (x.edge < y.edge ? -1 : 1));
}

function lack(status: EdgeStatus, need: EdgeRequirement): string | null {
  const { appliedRoutes, appliedServersets, epoch, problems } = status;
  const trouble =
    problems.length > 0 ? ` (${problems.map(({ code, message }) => `${code}: ${message}`).join("; ")})` : "";
  if (appliedRoutes < need.routes) return `at routes ${appliedRoutes}, needs ${need.routes}${trouble}`;
  if (epoch !== need.epoch) return `at epoch ${epoch}, needs ${need.epoch}${trouble}`;
  if (appliedServersets < need.serversets) return `at members ${appliedServersets}, needs ${need.serversets}${trouble}`;
  return null;
}

/**
 * Why an edge will never apply these routes. The epoch of what an edge has applied only grows, so a later one is final.
 * A problem with routes may be about earlier ones: it counts if the edge, by its own clock, still reports it after it
 * had time to read these.
 */
function refusalOf(status: EdgeStatus, need: EdgeRequirement, firstReport: string | undefined): string | null {
  if (status.epoch > need.epoch) return `it has applied routes of the later epoch ${status.epoch}`;
  const problem = status.problems.find(({ code }) => code.startsWith("ROUTES_"));
  if (problem === undefined || status.appliedRoutes >= need.routes || firstReport === undefined) return null;
  const reportsForMs = Date.parse(status.at) - Date.parse(firstReport);
  return reportsForMs >= REFUSES_AFTER_MS ? `${problem.code}: ${problem.message}` : null;
}
