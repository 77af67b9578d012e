import type { EdgeStatus, Routes } from "../../../../protocol/routes.ts";
import type { Stored } from "./bus-record.ts";

/**
 * What a change of the routes asks of an edge. `withdraw`: a version is no more served. `offer`: one more is. `switch`:
 * another one is the default. `same`: only the epoch is new.
 */
export const changeKinds = ["withdraw", "offer", "switch", "same"] as const;
export type ChangeKind = (typeof changeKinds)[number];

export interface Barrier {
  kind: ChangeKind;
  edge: string;
  /** From when the bus had the routes to when it had the edge's acknowledgement. */
  ms: number;
}

export function kindOf(before: Routes, now: Routes): ChangeKind {
  if (before.serving.some((version) => !now.serving.includes(version))) return "withdraw";
  if (now.serving.some((version) => !before.serving.includes(version))) return "offer";
  return before.default === now.default ? "same" : "switch";
}

/** One for each edge and each change of the routes after the first. What was never acknowledged is left out. */
export function barriersOf(
  routes: readonly Stored<Routes>[],
  acks: readonly Stored<EdgeStatus>[],
  edges: readonly string[],
): Barrier[] {
  return routes.slice(1).flatMap((now, i) => {
    const kind = kindOf((routes[i] as Stored<Routes>).value, now.value);
    return edges.flatMap((edge) => {
      const ack = acks.find(({ value }) => value.edge === edge && value.appliedRoutes >= now.revision);
      return ack ? [{ kind, edge, ms: ack.atMs - now.atMs }] : [];
    });
  });
}
