import { type KvEntry, Kvm } from "@nats-io/kv";
import type { EdgeStatus, Routes } from "../../../protocol/routes.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import type { Host } from "../../support/agent/host.ts";

/** What an edge reports that has applied everything up to a revision of the serverset bucket. */
export function edgeStatus(edge: string, over: Partial<EdgeStatus> = {}): EdgeStatus {
  return {
    service: "web",
    edge,
    proxy: "builtin",
    appliedRoutes: 1,
    appliedServersets: 0,
    epoch: 1,
    serving: [],
    default: null,
    at: new Date().toISOString(),
    leaseMs: 15_000,
    endpoints: 0,
    heldBack: 0,
    problems: [],
    ...over,
  };
}

/** Reports for an edge, as it would itself. */
export function report(host: Host, edge: string, over: Partial<EdgeStatus> = {}): Promise<number> {
  return host.put(buckets.edges, keys.edge("web", edge), JSON.stringify(edgeStatus(edge, over)));
}

export function putRoutes(host: Host, over: Partial<Routes> = {}): Promise<number> {
  const routes: Routes = { epoch: 1, revision: 1, mode: "atomic", default: "1", serving: ["1"], ...over };
  return host.put(buckets.routes, keys.routes("web"), JSON.stringify(routes));
}

export async function entryOf(host: Host, bucket: string, key: string): Promise<KvEntry | null> {
  const kv = await new Kvm(await host.bus()).open(bucket);
  return kv.get(key);
}

/** Takes a key away, so that the next test on the same bus does not find it. */
export async function purge(host: Host, bucket: string, key: string): Promise<void> {
  const kv = await new Kvm(await host.bus()).open(bucket);
  await kv.purge(key);
}
