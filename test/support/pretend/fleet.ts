import { setTimeout as sleep } from "node:timers/promises";
import { type JetStreamClient, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { bucketSettings } from "../../../protocol/bucket-settings.ts";
import { hostToken } from "../../../protocol/names.ts";
import { parseOrder } from "../../../protocol/order.ts";
import { buckets } from "../../../protocol/subjects.ts";
import { PATIENCE_MS } from "../until.ts";
import { type EdgeMode, type PretendEdge, PretendEdges } from "./edges.ts";
import { type Behaviour, type HostContext, PretendHost } from "./host.ts";
import { KeyWriter } from "./key-writer.ts";

export interface PretendOptions {
  /** Servers of the bus. */
  servers: string | string[];
  service: string;
  /** Names, or how many. */
  hosts: readonly string[] | number;
  /** Names, or how many. */
  edges?: readonly string[] | number;
  behaviour?: Partial<Behaviour>;
  edgeDelayMs?: number;
  slots?: readonly string[];
  stageOf?: (host: string) => string;
  hostsPerConnection?: number;
  heartbeatMs?: number;
  replicas?: number;
}

const HEARTBEAT_MS = 5000;
/**
 * After a hint the stream may still answer with the value before: with several replicas a put is heard before it is
 * taken.
 */
const LATE_MS = [0, 50, 250, 1000, 3000];

/**
 * A fleet that speaks the real protocol and has no workers: hosts that take orders, report and register, and edges that
 * acknowledge. One process, one connection per some hundred hosts, one subscription for all orders.
 */
export class PretendFleet {
  readonly hosts = new Map<string, PretendHost>();
  /** What must never happen: a version is replaced while an edge routes to it, a default without an endpoint. */
  readonly violations: string[] = [];
  private readonly byToken = new Map<string, PretendHost>();
  private readonly connections: NatsConnection[] = [];
  private readonly writers: KeyWriter[] = [];
  private pretendEdges!: PretendEdges;
  private orders!: KV;
  private beat: NodeJS.Timeout | undefined;
  private stopped = false;

  private constructor(private readonly options: PretendOptions) {}

  static async start(options: PretendOptions): Promise<PretendFleet> {
    const fleet = new PretendFleet(options);
    try {
      await fleet.startAll();
      return fleet;
    } catch (error) {
      await fleet.stop();
      throw error;
    }
  }

  host(name: string): PretendHost {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`there is no host ${name}`);
    return host;
  }

  edge(name: string): PretendEdge {
    const edge = this.pretendEdges.edges.get(name);
    if (edge === undefined) throw new Error(`there is no edge ${name}`);
    return edge;
  }

  get edges(): PretendEdge[] {
    return [...this.pretendEdges.edges.values()];
  }

  /** All hosts behave so from now on. */
  behave(behaviour: Partial<Behaviour>, names: Iterable<string> = this.hosts.keys()): void {
    for (const name of names) {
      const host = this.host(name);
      host.behaviour = { ...host.behaviour, ...behaviour };
    }
  }

  setEdge(name: string, mode: EdgeMode): void {
    this.pretendEdges.change(name, mode);
  }

  addEdge(name: string, options: { mode?: EdgeMode; delayMs?: number } = {}): PretendEdge {
    return this.pretendEdges.add(name, { delayMs: this.options.edgeDelayMs ?? 5, ...options });
  }

  async addHost(name: string): Promise<PretendHost> {
    const host = await this.add(name);
    await this.readOrders([host]);
    return host;
  }

  /** A host that had left is there again: it reads its orders, as an agent does after it was away. */
  async comeBack(name: string): Promise<void> {
    const host = this.host(name);
    host.behaviour = { ...host.behaviour, absent: false };
    host.report();
    await this.readOrders([host]);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.beat);
    for (const host of this.hosts.values()) host.stop();
    this.pretendEdges?.stop();
    for (const writer of this.writers) writer.stop();
    await Promise.all(this.connections.map((nc) => nc.close()));
  }

  private async startAll(): Promise<void> {
    const { service, hosts, edges = 0, heartbeatMs = HEARTBEAT_MS, edgeDelayMs = 5 } = this.options;
    const { nc, js, writer } = await this.connect();
    const [orders, routes, serversets] = await Promise.all(
      [buckets.orders, buckets.routes, buckets.serversets, buckets.hosts, buckets.edges].map((name) =>
        this.open(js, name),
      ),
    );
    this.orders = orders as KV;
    this.pretendEdges = new PretendEdges(service, writer, (edge) => this.check(edge));
    const jsm = await jetstreamManager(nc, { timeout: PATIENCE_MS });
    const followed = (name: string, kv: KV) => ({
      kv,
      lastRevision: async (key: string) =>
        (await jsm.streams.getMessage(`KV_${name}`, { last_by_subj: `$KV.${name}.${key}` }))?.seq ?? 0,
    });
    const ofEdges = [followed(buckets.routes, routes as KV), followed(buckets.serversets, serversets as KV)] as const;
    await this.pretendEdges.start(...ofEdges, heartbeatMs);
    for (const name of names("edge-", edges)) this.pretendEdges.add(name, { delayMs: edgeDelayMs });
    const prefix = `$KV.${buckets.orders}.`;
    nc.subscribe(`${prefix}${service}.>`, {
      callback: (error, message) => {
        if (!error) void this.hint(message.subject.slice(prefix.length), message.string());
      },
    });
    await nc.flush();
    for (const name of names("h", hosts)) await this.add(name);
    await this.readOrders([...this.hosts.values()]);
    this.beat = setInterval(() => {
      for (const host of this.hosts.values()) host.beat();
    }, heartbeatMs);
    void this.readOnReturn(nc);
  }

  private async add(name: string): Promise<PretendHost> {
    const {
      service,
      hostsPerConnection = 250,
      behaviour = {},
      slots = ["a", "b"],
      stageOf = () => "prod",
    } = this.options;
    if (this.hosts.size % hostsPerConnection === 0 && this.hosts.size > 0) await this.connect();
    const writer = this.writers.at(-1) as KeyWriter;
    const context: HostContext = {
      ...{ service, stage: stageOf(name) },
      write: (bucket, key, value) => writer.write(bucket, key, value),
      repeat: (bucket, key, value) => writer.repeat(bucket, key, value),
      onReplace: (host, version) => this.replaced(host, version),
    };
    const host = new PretendHost(name, context, behaviour, slots);
    this.hosts.set(name, host);
    this.byToken.set(hostToken(name), host);
    host.report();
    return host;
  }

  private async connect(): Promise<{ nc: NatsConnection; js: JetStreamClient; writer: KeyWriter }> {
    const servers = this.options.servers;
    const nc = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 100, name: "pretend" });
    this.connections.push(nc);
    const js = jetstream(nc, { timeout: PATIENCE_MS });
    const writer = new KeyWriter(nc, js);
    this.writers.push(writer);
    return { nc, js, writer };
  }

  private async open(js: JetStreamClient, name: keyof typeof bucketSettings): Promise<KV> {
    const { description, history, ttlMs } = bucketSettings[name];
    await new Kvm(js).create(name, { description, history, ttl: ttlMs, replicas: this.options.replicas ?? 1 });
    // Opened like this it is read from the stream's leader: a replica may not have what a hint was about.
    return new Kvm(js).open(name);
  }

  /** A put is a hint: the stream may have refused it. */
  private async hint(key: string, hinted: string): Promise<void> {
    const [, token = "", slot = ""] = key.split(".");
    const host = this.byToken.get(token);
    for (const lateMs of LATE_MS) {
      await sleep(lateMs, undefined, { ref: false });
      if (host === undefined || host.behaviour.absent || this.stopped) return;
      // What is missed here is read when the connection is back.
      const entry = await this.orders.get(key).catch(() => null);
      if (entry?.operation === "PUT") this.take(host, slot, entry.string());
      if (entry?.string() === hinted) return;
    }
  }

  private async readOrders(hosts: readonly PretendHost[]): Promise<void> {
    const all = await this.orders.history({
      key: hosts.length === 1 ? this.keysOf(hosts[0] as PretendHost) : this.keysOf(),
    });
    const latest = new Map<string, string>();
    for await (const entry of all) if (entry.operation === "PUT") latest.set(entry.key, entry.string());
    for (const [key, text] of latest) {
      const [, token = "", slot = ""] = key.split(".");
      const host = this.byToken.get(token);
      if (host && hosts.includes(host)) this.take(host, slot, text);
    }
  }

  private keysOf(host?: PretendHost): string {
    return `${this.options.service}.${host ? hostToken(host.name) : "*"}.*`;
  }

  private take(host: PretendHost, slot: string, text: string): void {
    try {
      host.take(slot, parseOrder(text));
    } catch {
      // Nobody but a test puts what is no order.
    }
  }

  private async readOnReturn(nc: NatsConnection): Promise<void> {
    for await (const { type } of nc.status()) {
      if (type !== "reconnect" || this.stopped) continue;
      for (let done = false; !done && !this.stopped; )
        done = await this.readOrders([...this.hosts.values()]).then(
          () => true,
          () => false,
        );
    }
  }

  private replaced(host: string, version: string): void {
    for (const { name, applied } of this.pretendEdges.edges.values())
      if (applied.routes?.serving.includes(version))
        this.violations.push(`${version} is replaced on ${host} while ${name} routes to it`);
  }

  private check({ name, applied }: PretendEdge): void {
    const current = applied.routes?.default;
    if (current !== undefined && !applied.alive.get(current))
      this.violations.push(`${name} has ${current} as its default, and no endpoint of it`);
  }
}

function names(prefix: string, given: readonly string[] | number): string[] {
  if (typeof given !== "number") return [...given];
  const width = String(given).length;
  return Array.from({ length: given }, (_, at) => `${prefix}${String(at + 1).padStart(width, "0")}`);
}

export type { Behaviour, EdgeMode, PretendEdge, PretendHost };
