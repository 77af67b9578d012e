import type { Logger } from "pino";
import { BusConnection } from "../bus/connection.ts";
import { BucketWatch } from "../bus/watch-bucket.ts";
import { edgeHeartbeatMs } from "../protocol/routes.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import { Applier } from "./applier.ts";
import { edgeTraits } from "./bus/traits.ts";
import type { EdgeConfig } from "./config/schema.ts";
import type { MemberReader, MemberSource, MemberWrite } from "./members/member-source.ts";
import { KnownMembers } from "./members/members.ts";
import type { ReadMember } from "./members/read-member.ts";
import type { ManagedProxy } from "./proxies/contract.ts";
import { kindOf } from "./proxies/kinds.ts";
import { findDigestMismatches } from "./report/edge-status.ts";
import { Reporter } from "./report/reporter.ts";
import { RoutesBook } from "./routes/routes-book.ts";
import type { KeptTable, StateFile } from "./state/state-file.ts";
import { atRevision, isOfRelease, makeTable } from "./table/make-table.ts";
import type { Table } from "./table/table.ts";

const TICK_MS = 500;
/** Members repeat themselves every 5 s: where nobody is heard for this long, the watch is suspected. */
const MEMBERS_QUIET_MS = 15_000;
const ROUTES_QUIET_MS = 60_000;
/**
 * A bus on which nothing was written for this long, neither by a member nor by this edge, may take no writes at all:
 * then silence says nothing about who is alive. Longer than the edge's own heartbeat; shorter than what a member's
 * lease has left after its own.
 */
const WRITTEN_WITHIN_MS = 7_000;
/** Making a table gets at most this share of the time. */
const BUSY_SHARE = 0.2;

/**
 * One edge of one service: what the bus says becomes a table, the table goes to the proxy, and what it runs with is
 * acknowledged.
 */
export class Edge {
  private readonly bus: BusConnection;
  private readonly routes: RoutesBook;
  private readonly members: KnownMembers;
  private readonly applier: Applier;
  private readonly reporter: Reporter;
  private readonly watches: MemberSource[];
  /** Both buckets were read: from then on the table is made of what they hold, and not of what is on disk. */
  private readonly read = { routes: false, members: false };
  private membersBucket: string | null = null;
  private membersPresent = false;
  private memberHeardAt = Number.NEGATIVE_INFINITY;
  private heldBack: readonly string[] = [];
  private digestMismatches: readonly ReadMember[] = [];
  private stateProblem: string | null = null;
  /** What each table was made from, for the disk. */
  private readonly sources = new WeakMap<Table, Omit<KeptTable, "format" | "service">>();
  /** The newest table, since both buckets were read. */
  private newest: Table | null = null;
  private readonly timers: NodeJS.Timeout[] = [];
  private soon: NodeJS.Timeout | undefined;
  private lastTick = performance.now();
  /** How long making the last table took. */
  private refreshMs = 0;

  constructor(
    private readonly config: EdgeConfig,
    private readonly proxy: ManagedProxy,
    private readonly state: StateFile,
    private readonly log: Logger,
  ) {
    const { service, edge } = config;
    this.bus = new BusConnection(config.nats, `slotd-edge ${service} ${edge}`, edgeTraits, log);
    this.routes = new RoutesBook(kindOf(config.proxy).modes);
    this.members = new KnownMembers(service);
    this.reporter = new Reporter(this.bus, { service, edge, proxy: proxy.kind }, () => this.view(), log);
    this.applier = new Applier(proxy, (table) => this.write(table), log);
    this.applier.on("change", () => this.reporter.reportNews());
    this.watches = [
      new BucketWatch(this.bus, buckets.serversets, `${service}.*.*.*`, this.membersReader(), MEMBERS_QUIET_MS, log),
      new BucketWatch(this.bus, buckets.routes, keys.routes(service), this.routesReader(), ROUTES_QUIET_MS, log),
    ];
  }

  /** Goes on from the last good table, and then by what the bus says. Neither the bus nor the proxy is waited for. */
  start(): void {
    this.restore();
    this.applier.start();
    this.bus.start();
    for (const watch of this.watches) watch.start();
    this.timers.push(setInterval(() => this.tick(), TICK_MS));
    this.timers.push(setInterval(() => this.heartbeat(), edgeHeartbeatMs));
  }

  /** Lets go. The proxy and the status stay as they are. */
  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    clearTimeout(this.soon);
    await Promise.all(this.watches.map((watch) => watch.stop()));
    await this.applier.stop();
    this.reporter.stop();
    await this.bus.stop();
    await this.proxy.close();
  }

  /** An operator says that what is held back is really gone. */
  acceptLoss(): void {
    const count = this.members.acceptLoss();
    this.log.warn({ count }, "loss of the endpoints that were held back was accepted");
    if (count === 0) return;
    this.reporter.publishEvent(`the loss of ${count} endpoints that were held back was accepted`);
    this.refresh();
  }

  private restore(): void {
    const kept = this.state.readLastGood();
    if (this.state.corrupt !== null) {
      this.stateProblem = this.state.corrupt;
      this.log.error({ problem: this.state.corrupt }, "last good table was set aside");
    }
    if (!kept) return;
    if (kept.routes) this.routes.restore(kept.routes);
    this.members.restore(kept.members, kept.serversetsRevision, performance.now());
    this.log.info({ routesRevision: this.routes.revision }, "last good table was read from disk");
    this.applier.want(this.makeTable());
  }

  private membersReader(): MemberReader {
    return {
      begin: (bucketId: string) => {
        const same = bucketId === this.membersBucket;
        this.members.beginListing(same);
        this.membersBucket = bucketId;
        if (!same) this.reporter.forgetAwaited();
      },
      take: ({ key, revision, text }: MemberWrite) => {
        const now = performance.now();
        // What a new listing repeats was not written now.
        if (revision > this.members.revision) this.memberHeardAt = now;
        const taken = this.members.recordWrite(key, revision, text, now);
        if (taken !== "changed") return;
        this.log.debug({ key, revision }, "member changed");
        this.reporter.expect(revision);
        this.refreshSoon();
      },
      listed: () => {
        this.members.endListing(performance.now());
        this.read.members = true;
        this.refreshSoon();
      },
      present: (present: boolean) => {
        this.membersPresent = present;
        this.log.info({ present }, present ? "serverset is heard" : "serverset is not heard; all leases stand still");
        if (present) this.members.renew(performance.now());
      },
    };
  }

  private routesReader(): MemberReader {
    return {
      begin: (bucketId: string) => this.routes.begin(bucketId),
      take: ({ revision, text }: MemberWrite) => {
        const news = this.routes.recordRoutes(revision, text);
        const { problem, routes } = this.routes;
        if (news)
          this.log.info(
            { revision, epoch: routes?.epoch, default: routes?.default, problem: problem?.message },
            "routes were read",
          );
        // Nothing else is to be collected: a controller writes them once, and waits.
        if (news) this.refreshSoon(0);
      },
      listed: () => {
        this.read.routes = true;
        this.refreshSoon();
      },
      present: () => {},
    };
  }

  private tick(): void {
    const now = performance.now();
    const { lastTick } = this;
    this.lastTick = now;
    // Where this process stood still, what was said meanwhile is not read yet.
    const stoodStill = now - lastTick > 4 * TICK_MS;
    const takesWrites = now - Math.max(this.memberHeardAt, this.reporter.storedAt) <= WRITTEN_WITHIN_MS;
    if (stoodStill || !takesWrites) this.members.renew(now);
    else if (this.membersPresent && this.members.lapse(now)) this.refreshSoon();
  }

  /** Acknowledges what was merely repeated, and that the edge is there. */
  private heartbeat(): void {
    const { newest } = this;
    if (newest !== null && this.soon === undefined) {
      const { revision: serversetsRevision } = this.members;
      const repeated = atRevision(newest, serversetsRevision);
      const source = this.sources.get(newest);
      if (source) this.sources.set(repeated, { ...source, serversetsRevision });
      this.want(repeated);
    }
    this.reporter.heartbeat();
  }

  /** @param collectMs what comes in this time goes along */
  private refreshSoon(collectMs = this.config.coalesce_ms): void {
    this.soon ??= setTimeout(() => this.refresh(), Math.max(collectMs, this.refreshMs / BUSY_SHARE));
  }

  /** Makes the table anew. */
  private refresh(): void {
    clearTimeout(this.soon);
    this.soon = undefined;
    if (!this.read.routes || !this.read.members) return;
    const began = performance.now();
    this.want(this.makeTable());
    this.reporter.reportNews();
    this.refreshMs = performance.now() - began;
  }

  private want(table: Table): void {
    this.newest = table;
    this.applier.want(table);
  }

  private makeTable(): Table {
    const { service, fallback, max_loss: maxLoss } = this.config;
    const { routes, revision: routesRevision } = this.routes;
    const { revision: serversetsRevision } = this.members;
    const counts = (member: ReadMember) =>
      (routes?.serving.includes(member.version) ?? false) && isOfRelease(member, routes);
    const { members, heldBack } = this.members.judgeLosses(counts, maxLoss);
    this.heldBack = heldBack;
    this.digestMismatches = findDigestMismatches(this.members.all(), routes);
    const table = makeTable({ service, routes, routesRevision, members, serversetsRevision, fallback });
    this.sources.set(table, { routes: this.routes.snapshot(), members: this.members.snapshot(), serversetsRevision });
    return table;
  }

  /**
   * Writes down what was applied: whoever starts next, without a bus, must not go back behind what was acknowledged.
   */
  private async write(table: Table): Promise<void> {
    const source = this.sources.get(table);
    try {
      if (source) await this.state.writeLastGood(source);
      this.stateProblem = this.state.corrupt;
    } catch (error) {
      this.stateProblem = `the last good table could not be written: ${(error as Error).message}`;
      this.log.error({ err: error }, "last good table could not be written");
    }
  }

  private view() {
    const { heldBack, members, digestMismatches, routes, applier, read } = this;
    const { problems: malformed } = members;
    const state = this.stateProblem;
    return {
      applied: applier.applied,
      faults: { proxy: applier.problem, routes: routes.problem, heldBack, malformed, digestMismatches, state },
      isRead: read.routes && read.members,
    };
  }
}
