import { type KvEntry, Kvm, KvWatchInclude } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { bucketSettings } from "../../../../protocol/bucket-settings.ts";
import type { HostStatus } from "../../../../protocol/host-status.ts";
import type { Order } from "../../../../protocol/order.ts";
import type { EdgeStatus, Routes } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { until } from "../../../../test/support/until.ts";
import type { Run } from "../run.ts";

/**
 * Something that the bus stored, and when: by the server's own clock, so that it is nobody's event loop that is
 * measured.
 */
export interface Stored<T> {
  atMs: number;
  revision: number;
  value: T;
}

/** All that was written of a service since the recording began, also when the bus was away meanwhile. */
export class BusRecord {
  readonly routes: Stored<Routes>[] = [];
  readonly acks: Stored<EdgeStatus>[] = [];
  readonly orders: Stored<{ host: string; slot: string; order: Order }>[] = [];
  /** When each order was first said to be done: `host order-id` → ms. */
  readonly done = new Map<string, number>();
  private readonly resumes: (() => Promise<void>)[] = [];

  private constructor(
    private readonly nc: NatsConnection,
    private readonly service: string,
  ) {}

  static async start(run: Run, url: string, service: string): Promise<BusRecord> {
    const nc = await connect({ servers: url, name: "bench", maxReconnectAttempts: -1, reconnectTimeWait: 200 });
    run.own(() => nc.close());
    const record = new BusRecord(nc, service);
    const edges = `${service}.*`;
    await record.follow(buckets.routes, keys.routes(service), (entry) => record.routes.push(stored(entry)));
    await record.follow(buckets.edges, edges, (entry) => record.acks.push(stored(entry)));
    await record.follow(buckets.orders, `${service}.*.*`, (entry) => record.takeOrder(entry));
    await record.follow(buckets.hosts, `${service}.*`, (entry) => record.takeStatus(stored(entry)));
    void record.resumeAfterReconnects();
    return record;
  }

  /** The routes as they stand. */
  get lastRoutes(): Stored<Routes> {
    const last = this.routes.at(-1);
    if (!last) throw new Error("there are no routes yet");
    return last;
  }

  /** Writes routes as a controller does. @returns their revision */
  async putRoutes(change: Pick<Routes, "default" | "serving">): Promise<number> {
    const { value, revision: before } = this.lastRoutes;
    const kv = await new Kvm(this.nc).open(buckets.routes);
    const next: Routes = { ...value, ...change, revision: value.revision + 1 };
    const revision = await kv.update(keys.routes(this.service), JSON.stringify(next), before);
    await until("the routes are heard", () => this.routes.some((each) => each.revision === revision), { everyMs: 1 });
    return revision;
  }

  /** Resolves when all of these edges have acknowledged routes of this revision. */
  async untilAcknowledged(revision: number, edges: readonly string[]): Promise<void> {
    const has = (edge: string) => this.acks.some(({ value }) => value.edge === edge && value.appliedRoutes >= revision);
    await until(`routes ${revision} are acknowledged`, () => edges.every(has), { everyMs: 5 });
  }

  private takeOrder(entry: KvEntry): void {
    const [, host = "", slot = ""] = entry.key.split(".");
    const { atMs, revision, value } = stored<Order>(entry);
    this.orders.push({ atMs, revision, value: { host, slot, order: value } });
  }

  private takeStatus({ atMs, value }: Stored<HostStatus>): void {
    for (const { order } of Object.values(value.slots)) {
      const key = order && `${value.host} ${order.id}`;
      if (key && order.outcome === "done" && !this.done.has(key)) this.done.set(key, atMs);
    }
  }

  private async follow(bucket: keyof typeof bucketSettings, key: string, take: (entry: KvEntry) => void) {
    const { description, history, ttlMs: ttl } = bucketSettings[bucket];
    const kv = await new Kvm(this.nc).create(bucket, { description, history, ttl });
    let heard = 0;
    const begin = async (include: KvWatchInclude) => {
      const entries = await kv.watch({ key, include });
      void (async () => {
        for await (const entry of entries) {
          if (entry.revision <= heard) continue;
          heard = entry.revision;
          if (entry.operation === "PUT") take(entry);
        }
      })();
      return entries;
    };
    let entries = await begin(KvWatchInclude.LastValue);
    this.resumes.push(async () => {
      entries.stop();
      // What was missed is still there: of each key, the last few values.
      entries = await until(`${bucket} can be followed again`, () => begin(KvWatchInclude.AllHistory));
    });
  }

  /** A watch does not outlive its server. */
  private async resumeAfterReconnects(): Promise<void> {
    for await (const { type } of this.nc.status())
      if (type === "reconnect") await Promise.all(this.resumes.map((resume) => resume()));
  }
}

function stored<T>(entry: KvEntry): Stored<T> {
  return { atMs: entry.created.getTime(), revision: entry.revision, value: entry.json<T>() };
}
