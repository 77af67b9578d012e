import { openBucket } from "../../../bus/buckets.ts";
import { readValues } from "../../../bus/list-bucket.ts";
import type { BusSession } from "../../../bus/session.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import type { KnownEdge } from "../decisions/barrier.ts";
import { readEdge } from "./views.ts";

/** What each edge of a service last wrote, by name. */
export async function readEdges(bus: BusSession, service: string): Promise<KnownEdge[]> {
  const kv = await openBucket(bus, buckets.edges);
  const entries = await readValues(bus, kv, keys.edge(service, "*"));
  return entries.map((entry) => readEdge(entry.key, entry.string())).sort((x, y) => (x.edge < y.edge ? -1 : 1));
}
