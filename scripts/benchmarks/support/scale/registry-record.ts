import { type KvEntry, Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import type { EdgeStatus } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import type { Run } from "../run.ts";

/** The name of the benchmark's own connections. */
export const OWN = "bench";

interface Change {
  revision: number;
  atMs: number;
}

/** The changes of a service's serverset, and up to where an edge has acknowledged them, when: by the server's clock. */
export class RegistryRecord {
  private readonly changes: Change[] = [];
  private readonly acks: Change[] = [];
  private readonly members = new Map<string, string>();

  static async start(run: Run, url: string, service: string, edge: string): Promise<RegistryRecord> {
    const nc = await connect({ servers: url, name: OWN });
    run.own(() => nc.close());
    const record = new RegistryRecord();
    const serversets = await (await new Kvm(nc).open(buckets.serversets)).watch({ key: `${service}.>` });
    const edges = await (await new Kvm(nc).open(buckets.edges)).watch({ key: keys.edge(service, edge) });
    void (async () => {
      for await (const entry of serversets) record.take(entry);
    })();
    void (async () => {
      for await (const entry of edges)
        if (entry.operation === "PUT")
          record.acks.push({ revision: entry.json<EdgeStatus>().appliedServersets, atMs: entry.created.getTime() });
    })();
    return record;
  }

  /** Ms from each change since then to the edge's acknowledgement of it. */
  latencies(sinceMs: number): number[] {
    return this.changes
      .filter(({ atMs }) => atMs >= sinceMs)
      .map((change) => {
        const ack = this.acks.find(({ revision }) => revision >= change.revision);
        return (ack?.atMs ?? Number.POSITIVE_INFINITY) - change.atMs;
      });
  }

  /** Whether everything that was changed is acknowledged. */
  get isSettled(): boolean {
    return (this.acks.at(-1)?.revision ?? 0) >= (this.changes.at(-1)?.revision ?? 0);
  }

  /** A value that is only repeated changes nothing. */
  private take(entry: KvEntry): void {
    const text = entry.operation === "PUT" ? entry.string() : "";
    if (this.members.get(entry.key) === text) return;
    this.members.set(entry.key, text);
    this.changes.push({ revision: entry.revision, atMs: entry.created.getTime() });
  }
}
