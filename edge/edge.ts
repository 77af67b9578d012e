import { hostname } from "node:os";
import type { Logger } from "pino";
import { BusConnection } from "../bus/connection.ts";
import { BucketWatch } from "../bus/watch-bucket.ts";
import { edgeHeartbeatMs } from "../protocol/routes.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import { Applier } from "./applier.ts";
import { edgeTraits } from "./bus/traits.ts";
import type { EdgeConfig } from "./config/schema.ts";
import { HeldProbe, type ProbeAnswer } from "./members/held-probe.ts";
import { LEASE_TICK_MS, LeaseClock } from "./members/lease-clock.ts";
import { MemberBounds } from "./members/member-bounds.ts";
import type { MemberSource } from "./members/member-source.ts";
import { KnownMembers } from "./members/members.ts";
import { ServersetReader } from "./members/serverset-reader.ts";
import type { ManagedProxy } from "./proxies/contract.ts";
import { kindOf } from "./proxies/kinds.ts";
import { Refresher } from "./refresher.ts";
import { type EdgeView, Reporter } from "./report/reporter.ts";
import { RoutesBook } from "./routes/routes-book.ts";
import { RoutesReader } from "./routes/routes-reader.ts";
import type { StateFile } from "./state/state-file.ts";
import type { Table } from "./table/table.ts";
import { TableMaker } from "./table/table-maker.ts";

/**
 * Members repeat themselves every 5 s. If none is heard for this long, the watch itself may be broken, and is started
 * again.
 */
const MEMBERS_QUIET_MS = 15_000;
const ROUTES_QUIET_MS = 60_000;

/**
 * One edge of one service: turns what the bus says into a table, gives it to the proxy, and acknowledges what the proxy
 * runs with.
 */
export class Edge {
  private readonly bus: BusConnection;
  private readonly book: RoutesBook;
  private readonly members: KnownMembers;
  private readonly leases: LeaseClock;
  private readonly probe: HeldProbe;
  private readonly serverset: ServersetReader;
  private readonly routes: RoutesReader;
  private readonly tables: TableMaker;
  private readonly refresher: Refresher;
  private readonly applier: Applier;
  private readonly reporter: Reporter;
  private readonly sources: MemberSource[];
  /** The newest table that was made of what both buckets hold. */
  private newest: Table | null = null;
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(
    config: EdgeConfig,
    private readonly proxy: ManagedProxy,
    private readonly state: StateFile,
    private readonly log: Logger,
  ) {
    const { service, edge, fallback, max_loss: maxLoss, max_capacity: maxCapacity, networks = null } = config;
    const bounds = new MemberBounds({ networks, maxCapacity, ownHosts: [edge, hostname().toLowerCase()] });
    this.bus = new BusConnection(config.nats, `slotd-edge ${service} ${edge}`, edgeTraits, log);
    this.book = new RoutesBook(service, kindOf(config.proxy).routes);
    this.members = new KnownMembers(service);
    this.leases = new LeaseClock(this.members);
    this.probe = new HeldProbe(this.members, (key, answer) => this.onProbe(key, answer));
    this.serverset = new ServersetReader(this.members, this.leases, this, log);
    this.routes = new RoutesReader(this.book, this, log);
    this.tables = new TableMaker({ service, fallback, maxLoss, bounds }, this.book, this.members);
    this.refresher = new Refresher(config.coalesce_ms, () => this.refresh());
    this.reporter = new Reporter(this.bus, { service, edge, proxy: proxy.kind }, () => this.view(), log);
    this.applier = new Applier(proxy, (table) => state.writeLastGood(this.tables.sourcesOf(table)), log);
    this.applier.on("change", () => this.reporter.reportNews());
    this.sources = [
      new BucketWatch(this.bus, buckets.serversets, `${service}.*.*.*`, this.serverset, MEMBERS_QUIET_MS, log),
      new BucketWatch(this.bus, buckets.routes, keys.routes(service), this.routes, ROUTES_QUIET_MS, log),
    ];
  }

  /** Starts from the last good table, then follows the bus. Waits neither for the bus nor for the proxy. */
  start(): void {
    this.restore();
    this.applier.start();
    this.bus.start();
    for (const source of this.sources) source.start();
    this.probe.start();
    this.timers.push(setInterval(() => this.tickLeases(), LEASE_TICK_MS));
    this.timers.push(setInterval(() => this.heartbeat(), edgeHeartbeatMs));
  }

  /** Ends everything but the proxy, which keeps its table, and the status on the bus, whose lease lapses. */
  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.probe.stop();
    this.refresher.stop();
    await Promise.all(this.sources.map((source) => source.stop()));
    await this.applier.stop();
    this.reporter.stop();
    await this.bus.stop();
    await this.proxy.close();
  }

  /** An operator confirms that the endpoints that are held back are gone. */
  acceptLoss(): void {
    const count = this.members.acceptLoss();
    this.log.warn({ count }, "operator accepted the loss of endpoints that were held back");
    if (count === 0) return;
    this.reporter.publishEvent(`an operator accepted the loss of ${count} endpoints that were held back`);
    this.refresher.refreshNow();
  }

  onMemberChange(revision: number): void {
    this.reporter.expect(revision);
    this.refresher.schedule();
  }

  onServersetListed(): void {
    this.refresher.schedule();
  }

  onServersetReplaced(): void {
    this.reporter.forgetAwaited();
  }

  /** At once: a controller writes routes once, and waits for the acknowledgement. */
  onRoutesChange(): void {
    this.refresher.schedule(0);
  }

  onRoutesListed(): void {
    this.refresher.schedule();
  }

  /** Both buckets were read: tables are made of what they hold, no longer of what is on disk. */
  private get isRead(): boolean {
    return this.routes.isRead && this.serverset.isRead;
  }

  private restore(): void {
    const kept = this.state.readLastGood();
    if (!kept) return;
    if (kept.routes) this.book.restore(kept.routes);
    this.members.restore(kept.members, kept.serversetsRevision, performance.now());
    this.log.info({ routesRevision: this.book.revision }, "last good table was read from disk");
    this.applier.want(this.tables.make());
  }

  private tickLeases(): void {
    if (this.leases.tick(performance.now(), this.reporter.storedAt)) this.refresher.schedule();
  }

  private onProbe(key: string, answer: ProbeAnswer): void {
    this.log.warn({ key }, `an endpoint that is held back ${answer} connections`);
    this.refresher.schedule();
  }

  /** Acknowledges members that only repeated themselves, and shows that the edge is alive. */
  private heartbeat(): void {
    if (this.newest !== null && !this.refresher.isPending) this.want(this.tables.atNewestRevision(this.newest));
    this.reporter.heartbeat();
  }

  private refresh(): void {
    if (!this.isRead) return;
    const { length: before } = this.tables.heldBack;
    this.want(this.tables.make());
    const { length: heldBack } = this.tables.heldBack;
    if (heldBack !== before) this.log.warn({ heldBack }, "another number of endpoints is held back");
    this.reporter.reportNews();
  }

  private want(table: Table): void {
    this.newest = table;
    this.applier.want(table);
  }

  private view(): EdgeView {
    const { heldBack, digestMismatches, excess } = this.tables;
    const faults = {
      ...{ proxy: this.applier.problem, routes: this.book.problem, state: this.state.problem },
      ...{ heldBack, malformed: this.members.problems, digestMismatches, excess },
    };
    return { applied: this.applier.applied, faults, isRead: this.isRead };
  }
}
