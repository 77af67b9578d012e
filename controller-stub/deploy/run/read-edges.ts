import { buckets, keys } from "../../../protocol/subjects.ts";
import { openBucket, readValues } from "../../buckets.ts";
import type { Bus } from "../../bus.ts";
import type { KnownEdge } from "../decisions/missing-edges.ts";
import { parseEdge } from "./watch/known-edges.ts";

/** What each edge of a service last wrote, by name. */
export async function fetchEdges(bus: Bus, service: string): Promise<KnownEdge[]> {
  const kv = await openBucket(bus, buckets.edges);
  const entries = await readValues(bus, kv, keys.edge(service, "*"));
  return entries.map((entry) => parseEdge(entry.key, entry.string())).sort((x, y) => (x.edge < y.edge ? -1 : 1));
}
