import type { Revision } from "../../../protocol/deploy.ts";
import type { HostStatus } from "../../../protocol/host-status.ts";
import type { Routes } from "../../../protocol/routes.ts";

/** A version in the fleet: how much it is used, and who deployed it. */
export interface RevisionView {
  version: string;
  sha256: string | null;
  /** Its place in the routes. */
  routed: "default" | "serving" | null;
  hosts: number;
  workers: number;
  ready: number;
  connections: number;
  inFlight: number;
  /** Null where no deploy brought it. */
  by: string | null;
  message: string | null;
  at: string | null;
}

/** The versions that were deployed, newest first, then other versions that hosts hold. */
export function revisionViews(
  revisions: readonly Revision[],
  statuses: readonly HostStatus[],
  routes: Routes | null,
): RevisionView[] {
  const slots = statuses.flatMap((status) => Object.values(status.slots));
  const known = new Set(revisions.map(({ version }) => version));
  const others = new Set(slots.flatMap(({ version }) => (version === null || known.has(version) ? [] : [version])));
  const newest = revisions.filter((each, at) => revisions.findIndex(({ version }) => version === each.version) === at);
  const view = (version: string, from?: Revision): RevisionView => {
    const holding = slots.filter((slot) => slot.version === version);
    const sum = (of: (slot: (typeof slots)[number]) => number) => holding.reduce((total, slot) => total + of(slot), 0);
    return {
      version,
      sha256: from?.sha256 ?? holding[0]?.sha256 ?? null,
      routed: routes?.default === version ? "default" : routes?.serving.includes(version) ? "serving" : null,
      hosts: holding.length,
      workers: sum(({ workers }) => workers.wanted),
      ready: sum(({ workers }) => workers.ready),
      connections: sum(({ connections }) => connections?.open ?? 0),
      inFlight: sum(({ connections }) => connections?.inFlight ?? 0),
      ...{ by: from?.by ?? null, message: from?.message ?? null, at: from?.at ?? null },
    };
  };
  return [
    ...newest.map((revision) => view(revision.version, revision)),
    ...[...others].sort().map((each) => view(each)),
  ];
}
