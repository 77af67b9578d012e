import type { RunningDeploy } from "../../../protocol/deploy.ts";
import type { HostStatus } from "../../../protocol/host-status.ts";
import type { Routes } from "../../../protocol/routes.ts";
import { isStale, reportAgeMs } from "../../hosts.ts";
import type { Colours } from "../../terminal/colours.ts";
import { formatAge } from "../../terminal/render.ts";
import { formatColumns } from "../../terminal/table.ts";
import { countHosts, failedHosts } from "../decisions/count-hosts.ts";
import type { KnownEdge } from "../decisions/missing-edges.ts";
import type { StoredRoutes } from "../decisions/next-routes.ts";
import type { RevisionView } from "../decisions/revision-views.ts";
import { isEnded } from "../decisions/steps.ts";

/** One line: what is served, under which revision. */
export function routesLine({ routes, revision }: StoredRoutes): string {
  if (routes === null) return "routes   none";
  const others = routes.serving.filter((version) => version !== routes.default);
  const also = others.length > 0 ? `, also serving ${others.join(" ")}` : "";
  return `routes   default ${routes.default}${also}, revision ${routes.revision} (${revision}), epoch ${routes.epoch}`;
}

/** The last deploy, and its step. */
export function deployLines(deploy: RunningDeploy, holder: string | null, colours: Colours): string[] {
  const { version, step, by, startedAt, halted, message, from } = deploy;
  const { total = 0, done = 0, excluded = 0 } = countHosts(deploy);
  const held = holder === null ? "" : `, held by ${holder}`;
  const paint = halted ? colours.red : isEnded(deploy) ? colours.green : colours.yellow;
  const why = message === "" ? "" : ` (${message})`;
  const rest = excluded > 0 ? `, ${excluded} not waited for` : "";
  return [
    `deploy   ${version} after ${from.default ?? "nothing"}: ${paint(step)}, ${done} of ${total} hosts${rest}, by ${by} at ${startedAt}${why}${held}`,
    ...(halted ? [`         ${colours.red("halted")} ${halted.code}: ${halted.message}`] : []),
    ...failedHosts(deploy).map(
      ({ host, slot, code, message: text }) => `         ${host} slot ${slot}: ${code}: ${text}`,
    ),
  ];
}

const EDGE_HEAD = ["EDGE", "PROXY", "DEFAULT", "SERVING", "ENDPOINTS", "ROUTES", "MEMBERS", "EPOCH", "AGE", "PROBLEMS"];

/** One row per edge; edges that are behind the routes are marked. */
export function edgeTable(
  edges: readonly KnownEdge[],
  { routes, revision }: StoredRoutes,
  now: number,
  colours: Colours,
): string {
  const rows = edges
    .toSorted((x, y) => (x.edge < y.edge ? -1 : 1))
    .map(({ edge, status, problem }): string[] => {
      if (status === null) return [edge, ...Array(8).fill("-"), colours.red(`can't be read: ${problem}`)];
      const age = Math.max(0, now - Date.parse(status.at));
      const isBehind = status.appliedRoutes < revision || status.epoch !== (routes?.epoch ?? status.epoch);
      return [
        ...[edge, status.proxy, status.default ?? "-", status.serving.join(" ") || "-"],
        `${status.endpoints}${status.heldBack > 0 ? ` (${status.heldBack} held back)` : ""}`,
        isBehind ? colours.red(`${status.appliedRoutes} behind`) : String(status.appliedRoutes),
        ...[String(status.appliedServersets), String(status.epoch)],
        age > status.leaseMs ? colours.red(`${formatAge(age)} silent`) : formatAge(age),
        status.problems.map(({ code }) => code).join(" "),
      ];
    });
  return formatColumns(EDGE_HEAD, rows, colours);
}

const HOST_HEAD = ["HOST", "STAGE", "SLOTS", "CURRENT", "AGENT", "LOAD", "AGE", "WARNINGS"];

/** One row per host: what its slots hold, and whether that is what the routes say. */
export function hostTable(
  statuses: readonly HostStatus[],
  routes: Routes | null,
  now: number,
  colours: Colours,
): string {
  const rows = statuses.map((status): string[] => {
    const slots = Object.values(status.slots).sort((x, y) => (x.slot < y.slot ? -1 : 1));
    const lacks = (routes?.serving ?? []).filter((version) => !slots.some((slot) => slot.version === version));
    const age = formatAge(reportAgeMs(status, now));
    return [
      ...[status.host, status.stage, slots.map(({ slot, version }) => `${slot}:${version ?? "-"}`).join(" ") || "-"],
      routes === null ? "-" : lacks.length === 0 ? "yes" : colours.red(`lacks ${lacks.join(" ")}`),
      ...[status.agentVersion, status.load?.load1.toFixed(2) ?? "-"],
      isStale(status, now) ? colours.red(`${age} stale`) : age,
      warningsCell(status, routes, colours),
    ];
  });
  return formatColumns(HOST_HEAD, rows, colours);
}

/** How many warnings a host reports, and how many workers of the default version lack there. */
function warningsCell({ slots, warnings }: HostStatus, routes: Routes | null, colours: Colours): string {
  const unready = Object.values(slots)
    .filter(({ version, workers }) => version !== null && version === routes?.default && workers.ready < workers.wanted)
    .map(({ version, workers }) => colours.red(`default ${version}: ${workers.ready} of ${workers.wanted} ready`));
  return [...unready, ...(warnings.length > 0 ? [String(warnings.length)] : [])].join(", ");
}

const REVISION_HEAD = ["REVISION", "ROUTED", "HOSTS", "WORKERS", "CONNS", "BY", "AGE", "MESSAGE"];

export function revisionTable(revisions: readonly RevisionView[], now: number, colours: Colours): string {
  const rows = revisions.map((view) => [
    ...[view.version, view.routed ?? "-", String(view.hosts), `${view.ready}/${view.workers}`],
    `${view.connections} (${view.inFlight} busy)`,
    ...[view.by ?? "-", view.at === null ? "-" : formatAge(Math.max(0, now - Date.parse(view.at))), view.message ?? ""],
  ]);
  return formatColumns(REVISION_HEAD, rows, colours);
}
