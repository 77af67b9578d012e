import { openBucket } from "../../../../bus/buckets.ts";
import { readValues } from "../../../../bus/list-bucket.ts";
import type { BusSession } from "../../../../bus/session.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { followValues } from "../../../follow.ts";
import type { OnMalformed } from "../../../values/malformed.ts";
import { isEdgeName, readEdge } from "../../../values/read-values.ts";
import type { KnownEdge } from "../../decisions/missing-edges.ts";
import { ChangeSignal } from "./change-signal.ts";

/**
 * What each edge of a service last acknowledged. An edge whose status can't be read counts as an edge, too. A key that
 * no edge can have is none, whatever it holds: it is reported.
 */
export class FollowedEdges {
  readonly changes = new ChangeSignal();
  private readonly byKey = new Map<string, KnownEdge>();
  private constructor() {}

  static async follow(
    bus: BusSession,
    service: string,
    onMalformed: OnMalformed,
  ): Promise<FollowedEdges & { stop: () => void }> {
    const edges = new FollowedEdges();
    const stop = await followValues(bus, {
      bucket: buckets.edges,
      filter: keys.edge(service, "*"),
      onValue: (key, text) => {
        const edge = parseEdge(key, text, onMalformed);
        if (edge === undefined) return;
        edges.byKey.set(key, edge);
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
export async function fetchEdges(bus: BusSession, service: string, onMalformed: OnMalformed): Promise<KnownEdge[]> {
  const kv = await openBucket(bus, buckets.edges);
  const entries = await readValues(bus, kv, keys.edge(service, "*"));
  const edges = entries.map((entry) => parseEdge(entry.key, entry.string(), onMalformed));
  return edges.filter((edge) => edge !== undefined).sort((x, y) => (x.edge < y.edge ? -1 : 1));
}

/** An edge's status as it was written, as far as it can be read; undefined under a key that no edge can have. */
function parseEdge(key: string, text: string, onMalformed: OnMalformed): KnownEdge | undefined {
  const edge = key.slice(key.indexOf(".") + 1);
  if (!isEdgeName(edge)) {
    onMalformed({ bucket: buckets.edges, key, why: `${edge} is no edge's name` });
    return undefined;
  }
  const read = readEdge(key, text);
  return "broken" in read ? { edge, status: null, problem: read.broken } : { edge, status: read.value };
}
