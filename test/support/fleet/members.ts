import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { bucketSettings } from "../../../protocol/bucket-settings.ts";
import { memberLeaseMs, type Registration, toMember } from "../../../protocol/member.ts";
import type { Routes } from "../../../protocol/routes.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { until } from "../until.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let started = 0;

/**
 * An address of its own for each backend, as on a host of its own: a proxy or router that falls back on 127.0.0.1
 * misses it. The whole of 127.0.0.0/8 is this host.
 */
const ownAddress = () => `127.0.5.${1 + (started++ % 250)}`;

/** An HTTP server that serves a version: it says which, and who it is. */
export class Backend {
  /** Requests that it got. */
  requests = 0;
  private at = { address: "", port: 0 };

  private constructor(
    readonly version: string,
    readonly host: string,
    readonly server: Server,
  ) {}

  static async start(version: string, host: string, answer?: Answer, address = ownAddress()): Promise<Backend> {
    const server = createServer((request, response) => {
      backend.requests++;
      if (answer) answer(request, response);
      else response.end(JSON.stringify({ version, host }));
    });
    const backend = new Backend(version, host, server);
    server.listen(0, address);
    await once(server, "listening");
    backend.at = { address, port: (server.address() as AddressInfo).port };
    return backend;
  }

  get port(): number {
    return this.at.port;
  }

  get address(): string {
    return this.at.address;
  }

  /** Listens again where it did, after `stop`. */
  async restart(): Promise<void> {
    this.server.listen(this.at.port, this.at.address);
    await once(this.server, "listening");
  }

  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

/** Puts members and routes by hand, as agents and a controller would. Members that stand are repeated. */
export class FleetMembers {
  private readonly standing = new Map<string, string>();
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly nc: NatsConnection,
    private readonly replicas: number,
    readonly service: string,
  ) {
    this.timer = setInterval(() => void this.repeat(), memberLeaseMs / 5);
  }

  static async open(
    servers: string | readonly string[],
    { replicas = 1, service = "web" } = {},
  ): Promise<FleetMembers> {
    const nc = await connect({ servers: [servers].flat(), maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    return new FleetMembers(nc, replicas, service);
  }

  /** A member that stands. @returns its revision */
  member(backend: Backend, over: Partial<Registration> & { sha256?: string } = {}): Promise<number> {
    const { version, host, port, address } = backend;
    const registration: Registration = {
      ...{ service: this.service, stage: "prod", host, slot: "a", version, sha256: "a".repeat(64), epoch: 1 },
      ...{ address: { host: address, port }, capacity: 2, workers: 3, status: "ALIVE" },
      ...over,
    };
    const { service, stage, slot } = registration;
    return this.put(keys.member(service, stage, registration.host, slot), JSON.stringify(toMember(registration)));
  }

  /** Any text under a member's key, and from then on. */
  put(key: string, text: string): Promise<number> {
    this.standing.set(key, text);
    return this.write(buckets.serversets, key, text);
  }

  key(host: string, slot = "a"): string {
    return keys.member(this.service, "prod", host, slot);
  }

  /** Its host died: the member is not repeated any more. */
  forsake(key: string): void {
    this.standing.delete(key);
  }

  /** Deletes a member. @returns the revision of that */
  async remove(key: string): Promise<number> {
    this.standing.delete(key);
    const kv = await this.bucket(buckets.serversets);
    await kv.delete(key);
    return (await kv.get(key))?.revision ?? 0;
  }

  /** @returns the revision */
  routes(routes: Pick<Routes, "default" | "serving"> & Partial<Routes>): Promise<number> {
    // Not the KV revision, which edges acknowledge.
    const whole: Routes = { epoch: 1, revision: 71, mode: "atomic", ...routes };
    return this.write(buckets.routes, keys.routes(this.service), JSON.stringify(whole));
  }

  /** Any text. */
  rawRoutes(text: string): Promise<number> {
    return this.write(buckets.routes, keys.routes(this.service), text);
  }

  /** Deletes a whole bucket. */
  async destroyBucket(name: keyof typeof bucketSettings): Promise<void> {
    await (await this.bucket(name)).destroy();
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.nc.close();
  }

  private async bucket(name: keyof typeof bucketSettings): Promise<KV> {
    const { description, history, ttlMs: ttl } = bucketSettings[name];
    return new Kvm(this.nc).create(name, { description, history, ttl, replicas: this.replicas });
  }

  private write(bucket: keyof typeof bucketSettings, key: string, text: string): Promise<number> {
    const write = async () => (await this.bucket(bucket)).put(key, text);
    return until(`${bucket} takes ${key}`, write);
  }

  private async repeat(): Promise<void> {
    const kv = await this.bucket(buckets.serversets).catch(() => null);
    // Where the bus is away they are repeated the next time.
    for (const [key, text] of this.standing) await kv?.put(key, text).catch(() => {});
  }
}
