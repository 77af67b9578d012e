import type { Deploy } from "../../../protocol/deploy.ts";
import type { HostStatus } from "../../../protocol/host-status.ts";
import type { Routes } from "../../../protocol/routes.ts";
import { currentSlot } from "./current-slot.ts";
import type { KnownEdge } from "./missing-edges.ts";

/** What is known of a service whose routes are gone from the bus, while hosts still hold what was deployed. */
export interface LostRoutes {
  /** What edges have as their default; where none says, what is current on hosts. */
  live: string[];
  /** What edges still route to, and hosts still hold. */
  serving: string[];
  /** How that is known, as clauses. */
  evidence: string[];
}

export interface ServiceFacts {
  routes: Routes | null;
  statuses: readonly HostStatus[];
  edges: readonly KnownEdge[];
  record: Pick<Deploy, "revisions">;
}

/** An order that tells a host which of its versions is current: a deploy gives it once users are on the version. */
const AFTER_SWITCH = /^deploy-.*:role$/;

/**
 * Whether a service without routes had some. A service whose versions were installed one by one had none, and one that
 * no host holds has nothing to lose.
 */
export function lostRoutes({ routes, statuses, edges, record }: ServiceFacts): LostRoutes | null {
  const slots = statuses.flatMap((status) => Object.values(status.slots));
  const held = new Set(slots.flatMap(({ version }) => version ?? []));
  if (routes !== null || held.size === 0) return null;
  const routing = edges.flatMap(({ status }) => (status === null || status.default === null ? [] : [status]));
  const deployed = slots.some(({ order }) => order !== null && AFTER_SWITCH.test(order.id));
  const [last] = record.revisions;
  if (routing.length === 0 && !deployed && last === undefined) return null;
  const defaults = routing.flatMap((status) => status.default ?? []);
  const current = statuses.flatMap((status) => currentSlot(status)?.version ?? []);
  return {
    live: unique(defaults.length > 0 ? defaults : current),
    serving: unique(routing.flatMap(({ serving }) => serving)).filter((version) => held.has(version)),
    evidence: [
      ...routing.map(
        ({ edge, default: version, serving }) => `${edge} reports default ${version}, serving ${serving.join(" ")}`,
      ),
      ...(deployed ? [`hosts hold ${[...held].sort().join(" ")} from a deploy`] : []),
      ...(last ? [`${last.version} was the last version to be deployed`] : []),
    ],
  };
}

function unique(versions: readonly string[]): string[] {
  return [...new Set(versions)].sort();
}
