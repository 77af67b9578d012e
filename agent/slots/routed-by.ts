import type { EdgeStatus, Routes } from "../../protocol/routes.ts";

/**
 * What is known of who sends requests to which version; routes are null where there are none, or none could be read.
 */
export interface Traffic {
  routes: Pick<Routes, "default" | "serving"> | null;
  /** Those with a live lease. */
  edges: readonly Pick<EdgeStatus, "edge" | "serving" | "default">[];
}

export const noTraffic: Traffic = { routes: null, edges: [] };

/** Of many edges only these are named. */
const NAMED = 8;

/** Who routes to a version, in words; null: nobody, as far as is known. Pure. */
export function routedBy(version: string, { routes, edges }: Traffic): string | null {
  if (routes?.default === version) return "the routes, as the default";
  if (routes?.serving.includes(version)) return "the routes";
  const routing = edges.filter((edge) => edge.serving.includes(version) || edge.default === version);
  const names = routing.map(({ edge }) => edge);
  if (names.length === 0) return null;
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  return `${names.length === 1 ? "edge" : "edges"} ${names.slice(0, NAMED).join(", ")}${more}`;
}
