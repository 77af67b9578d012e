import type { KV, KvEntry } from "@nats-io/kv";
import type { Member } from "../../../protocol/member.ts";
import { type EdgeStatus, edgeHeartbeatMs, edgeLeaseMs, type Routes } from "../../../protocol/routes.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import type { KeyWriter } from "./key-writer.ts";

/**
 * How an edge acknowledges. `follows`: as it should. `stuck`: it reports, and never applies anything new. `oldEpoch`:
 * the right revisions under the wrong epoch. `dead`: nothing more is heard of it.
 */
export type EdgeMode = "follows" | "stuck" | "oldEpoch" | "dead";

export interface PretendEdge {
  name: string;
  mode: EdgeMode;
  /** From a change to its acknowledgement. */
  delayMs: number;
  heldBack: number;
  problems: EdgeStatus["problems"];
  /** What it routes by. */
  applied: Applied;
}

/** A bucket, and the last revision under a key or a pattern in it, as its leader says. */
export interface Bucket {
  kv: KV;
  lastRevision(key: string): Promise<number>;
}

interface Applied {
  routes: Routes | null;
  routesRevision: number;
  serversetsRevision: number;
  /** Version → endpoints. */
  alive: ReadonlyMap<string, number>;
}

const NOTHING: Applied = { routes: null, routesRevision: 0, serversetsRevision: 0, alive: new Map() };

/** Edges that watch routes and serversets through one pair of watches, and acknowledge each in its own way. */
export class PretendEdges {
  readonly edges = new Map<string, PretendEdge>();
  private readonly members = new Map<string, { version: string; alive: boolean }>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly stops: (() => void)[] = [];
  private lastRoutes: Routes | null = null;
  private lastRoutesRevision = 0;
  private lastServersetsRevision = 0;

  constructor(
    private readonly service: string,
    private readonly writer: KeyWriter,
    private readonly onApplied: (edge: PretendEdge) => void,
  ) {}

  async start(routes: Bucket, serversets: Bucket, heartbeatMs = edgeHeartbeatMs): Promise<void> {
    const checkMs = heartbeatMs / 2;
    await Promise.all([
      this.watch(routes, keys.routes(this.service), (entry) => this.takeRoutes(entry), checkMs),
      this.watch(serversets, `${this.service}.>`, (entry) => this.takeMember(entry), checkMs),
    ]);
    const beat = setInterval(() => {
      for (const edge of this.edges.values()) if (edge.mode !== "dead") this.report(edge, true);
    }, heartbeatMs);
    this.stops.push(() => clearInterval(beat));
  }

  add(name: string, { mode = "follows", delayMs = 5 }: { mode?: EdgeMode; delayMs?: number } = {}): PretendEdge {
    const edge: PretendEdge = { name, mode, delayMs, heldBack: 0, problems: [], applied: NOTHING };
    this.edges.set(name, edge);
    this.apply(edge);
    return edge;
  }

  /** Changes how an edge acknowledges, from now on. */
  change(name: string, mode: EdgeMode): void {
    const edge = this.edges.get(name);
    if (edge === undefined) throw new Error(`there is no edge ${name}`);
    edge.mode = mode;
    this.apply(edge);
  }

  stop(): void {
    for (const stop of this.stops) stop();
    for (const timer of this.timers.values()) clearTimeout(timer);
  }

  /**
   * A watch whose consumer went down with its server says nothing of that: one that lags behind the bucket is begun
   * again.
   */
  private async watch(bucket: Bucket, key: string, take: (entry: KvEntry) => void, checkMs: number): Promise<void> {
    let heard = 0;
    let isLate = false;
    const open = async () => {
      const entries = await bucket.kv.watch({ key });
      void (async () => {
        for await (const entry of entries) {
          heard = Math.max(heard, entry.revision);
          take(entry);
        }
      })();
      return entries;
    };
    let entries = await open();
    const check = async () => {
      const last = await bucket.lastRevision(key);
      // What was written a moment ago may be on its way.
      if (isLate && heard < last) {
        entries.stop();
        entries = await open();
      }
      isLate = heard < last;
    };
    // The bus may be away: it is looked at again.
    const timer = setInterval(() => void check().catch(() => {}), checkMs);
    this.stops.push(() => {
      clearInterval(timer);
      entries.stop();
    });
  }

  private takeRoutes(entry: KvEntry): void {
    this.lastRoutes = entry.operation === "PUT" ? entry.json<Routes>() : null;
    this.lastRoutesRevision = entry.revision;
    this.changed();
  }

  private takeMember(entry: KvEntry): void {
    this.lastServersetsRevision = Math.max(this.lastServersetsRevision, entry.revision);
    const member = entry.operation === "PUT" ? tryMember(entry) : null;
    const now = member && { version: member.metadata?.version ?? "", alive: member.status === "ALIVE" };
    const was = this.members.get(entry.key);
    if (now) this.members.set(entry.key, now);
    else this.members.delete(entry.key);
    // A heartbeat changes no table.
    if (was?.version !== now?.version || was?.alive !== now?.alive) this.changed();
  }

  private changed(): void {
    for (const edge of this.edges.values()) {
      if (this.timers.has(edge.name)) continue;
      this.timers.set(
        edge.name,
        setTimeout(() => {
          this.timers.delete(edge.name);
          this.apply(edge);
        }, edge.delayMs),
      );
    }
  }

  private apply(edge: PretendEdge): void {
    if (edge.mode === "stuck" || edge.mode === "dead") return;
    const alive = new Map<string, number>();
    for (const { version, alive: isAlive } of this.members.values())
      if (isAlive) alive.set(version, (alive.get(version) ?? 0) + 1);
    const now = {
      routes: this.lastRoutes,
      routesRevision: this.lastRoutesRevision,
      serversetsRevision: this.lastServersetsRevision,
    };
    edge.applied = { ...now, alive };
    this.onApplied(edge);
    this.report(edge, false);
  }

  private report(edge: PretendEdge, isBeat: boolean): void {
    const { routes, routesRevision, serversetsRevision, alive } = edge.applied;
    const epoch = Math.max(0, (routes?.epoch ?? 0) - (edge.mode === "oldEpoch" ? 1 : 0));
    const serving = routes?.serving ?? [];
    const status: EdgeStatus = {
      ...{ service: this.service, edge: edge.name, proxy: "pretend", appliedRoutes: routesRevision },
      // Heartbeats of members are in no table, and applied all the same.
      appliedServersets:
        isBeat && edge.mode !== "stuck" && !this.timers.has(edge.name)
          ? this.lastServersetsRevision
          : serversetsRevision,
      ...{ epoch, serving, default: routes?.default ?? null, at: new Date().toISOString(), leaseMs: edgeLeaseMs },
      endpoints: serving.reduce((total, version) => total + (alive.get(version) ?? 0), 0),
      ...{ heldBack: edge.heldBack, problems: edge.problems },
    };
    const key = keys.edge(this.service, edge.name);
    if (isBeat) this.writer.repeat(buckets.edges, key, JSON.stringify(status));
    else this.writer.write(buckets.edges, key, JSON.stringify(status));
  }
}

function tryMember(entry: KvEntry): Partial<Member> | null {
  try {
    return entry.json<Partial<Member>>();
  } catch {
    return null;
  }
}
