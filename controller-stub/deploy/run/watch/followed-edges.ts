import { openBucket } from "../../../../bus/buckets.ts";
import { readValues } from "../../../../bus/list-bucket.ts";
import type { BusSession } from "../../../../bus/session.ts";
import { decode } from "../../../../protocol/decode.ts";
import { edgeStatusSchema } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { followValues } from "../../../follow.ts";
import type { KnownEdge } from "../../decisions/missing-edges.ts";
import { ChangeSignal } from "./change-signal.ts";

/** What each edge of a service last acknowledged. An edge whose status can't be read counts as an edge, too. */
export class FollowedEdges {
  readonly changes = new ChangeSignal();
  private readonly byKey = new Map<string, KnownEdge>();
  private constructor() {}

  static async follow(bus: BusSession, service: string): Promise<FollowedEdges & { stop: () => void }> {
    const edges = new FollowedEdges();
    const stop = await followValues(bus, {
      bucket: buckets.edges,
      filter: keys.edge(service, "*"),
      onValue: (key, text) => {
        edges.byKey.set(key, parseEdge(key, text));
        edges.changes.emit();
      },
      onGone: (key) => {
        edges.byKey.delete(key);
        edges.changes.emit();
      },
    });
    return Object.assign(edges, { stop });
  }

  get all(): KnownEdge[] {
    return [...this.byKey.values()];
  }
}

/** What each edge of a service last wrote, by name. */
export async function fetchEdges(bus: BusSession, service: string): Promise<KnownEdge[]> {
  const kv = await openBucket(bus, buckets.edges);
  const entries = await readValues(bus, kv, keys.edge(service, "*"));
  return entries.map((entry) => parseEdge(entry.key, entry.string())).sort((x, y) => (x.edge < y.edge ? -1 : 1));
}

/** An edge's status as it was written, as far as it can be read. */
function parseEdge(key: string, text: string): KnownEdge {
  const edge = key.slice(key.indexOf(".") + 1);
  const decoded = decode(edgeStatusSchema, text);
  if ("broken" in decoded) return { edge, status: null, problem: decoded.broken };
  const status = decoded.value;
  return status.edge === edge
    ? { edge, status }
    : { edge, status: null, problem: `edge: must be ${edge}, not ${status.edge}` };
}
