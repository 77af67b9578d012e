import type { Logger } from "pino";
import { BusConnection } from "../bus/connection.ts";
import { EventPublisher } from "../bus/event-publisher.ts";
import { StopStack } from "../daemon/stop-stack.ts";
import { programVersion } from "../daemon/version.ts";
import { type SlotdError, SlotUnknownError, toSlotdError } from "../protocol/errors.ts";
import type { Event } from "../protocol/event.ts";
import type { HostStatus, SlotStatus } from "../protocol/host-status.ts";
import { EdgeWatch } from "./bus/edge-watch.ts";
import { OrderWatch } from "./bus/order-watch.ts";
import { RoutesWatch } from "./bus/routes-watch.ts";
import { agentTraits } from "./bus/traits.ts";
import type { Config } from "./config/schema.ts";
import { createSlot } from "./create-slot.ts";
import { EventLog } from "./event-log.ts";
import { HostReleases } from "./host-releases.ts";
import { HostReport } from "./host-report.ts";
import { AccountLookup } from "./os/account.ts";
import type { ServiceManager } from "./os/service-manager.ts";
import { openOutput } from "./output/open-output.ts";
import type { WorkerOutput } from "./output/worker-output.ts";
import { objectSource } from "./releases/fetch/object-source.ts";
import type { OrderSource } from "./slots/order-source.ts";
import type { Slot } from "./slots/slot.ts";
import type { SlotRegistration } from "./slots/slot-registration.ts";
import { storeName } from "./slots/slot-socket.ts";
import { slotStatus } from "./slots/status.ts";
import { openState, type State } from "./state.ts";
import { checkStopTime, farewellMs, withdrawnMs } from "./stop-time.ts";
import { UnreadySlots, unreadyWarning } from "./unready-slots.ts";
import { endOrphanedGroup } from "./workers/end/end-orphaned-group.ts";
import { HostCgroups } from "./workers/process/cgroups.ts";
import { Secrets } from "./workers/process/secrets.ts";
import { unenforced } from "./workers/process/unenforced.ts";

const STATUS_MS = 5_000;
const FIGURES_MS = 30_000;
const TRIM_MS = 1_000;
/** Periodic work begins this long after a start: taking over what serves comes first. */
const SETTLED_MS = 100;

/** What an agent holds of its host. */
interface Host {
  state: State;
  /** Null where systemd has delegated no cgroup. */
  cgroups: HostCgroups | null;
  output: WorkerOutput;
  secrets: Secrets;
  /** Keeps sockets while no agent runs, and is told that the agent works. */
  manager: ServiceManager;
}

/** One agent: one service on one host. It wires the parts and answers what is asked of it. Each slot runs by itself. */
export class Agent {
  readonly events = new EventLog();
  readonly slots: ReadonlyMap<string, Slot>;
  readonly bus: BusConnection;
  readonly releases: HostReleases;
  private readonly report: HostReport;
  private readonly orders: OrderSource;
  private readonly edges: EdgeWatch;
  private readonly routes: RoutesWatch;
  private readonly eventPublisher: EventPublisher;
  private readonly account: AccountLookup;
  private readonly registrations: SlotRegistration[] = [];
  private readonly started: StopStack;
  private readonly unready = new UnreadySlots((event) => this.emit(event));
  private running: Promise<unknown> = Promise.resolve();

  /**
   * Takes possession of the state directory and of the delegated cgroup.
   * @throws AgentRunningError, JournalNewerError, DiskFullError, ConfigInvalidError
   */
  static open(config: Config, log: Logger, manager: ServiceManager, environment: NodeJS.ProcessEnv): Agent {
    const state = openState(config.state_directory);
    const output = openOutput(config.service, state.logDirectory, config.logs, environment, log);
    const cgroups = HostCgroups.open(config.limits, log);
    const secrets = new Secrets(config.app.secrets, environment.CREDENTIALS_DIRECTORY);
    return new Agent(config, log, { state, cgroups, output, secrets, manager });
  }

  private constructor(
    readonly config: Config,
    private readonly log: Logger,
    private readonly host: Host,
  ) {
    const { service, host: hostName } = config;
    this.started = new StopStack(log);
    this.started.push("lock", () => host.state.lock.release());
    this.account = new AccountLookup(accountNames(config));
    this.bus = new BusConnection(config.nats, `slotd ${service}@${hostName}`, agentTraits, log);
    this.eventPublisher = new EventPublisher(this.bus, log);
    this.edges = new EdgeWatch(this.bus, service, log);
    this.routes = new RoutesWatch(this.bus, service, log);
    const onRemoved = (version: string) =>
      this.emit({ slot: "-", kind: "release", message: `release ${version} was removed`, version });
    this.releases = new HostReleases(config, objectSource(this.bus), () => [...this.slots.values()], onRemoved, log);
    const statuses = () => Object.fromEntries([...this.slots].map(([name, slot]) => [name, slotStatus(slot)]));
    const onTaken = (error: SlotdError) => this.announce(error, "another agent has this host's name");
    const unready = () => [...this.slots.values()].flatMap((slot) => unreadyWarning(slot) ?? []);
    const onPublish = (summary: string) => host.manager.beat(summary);
    this.report = new HostReport(config, this.bus, statuses, unready, onPublish, onTaken, log);
    this.slots = this.createSlots();
    host.manager.forgetExcept([...this.slots.keys()].map(storeName));
    const onOrder = (slot: string, text: string) => this.slots.get(slot)?.receiveOrder(text);
    const refresh = async () => void (await Promise.all([this.routes.refresh(), this.edges.refresh()]));
    this.orders = new OrderWatch(this.bus, service, hostName, [...this.slots.keys()], onOrder, refresh, log);
    const { corrupt } = host.state.journal;
    if (corrupt) this.reportError(corrupt, "journal was moved aside");
  }

  get output(): WorkerOutput {
    return this.host.output;
  }

  /**
   * Finds out what an earlier agent left: unfinished releases, and running workers. Before that, the status is empty.
   */
  async takeOver(): Promise<void> {
    await this.sweepReleases();
    await Promise.all([...this.slots.values()].map((slot) => slot.adoptLeftovers()));
    const enforced = this.host.cgroups?.enforce() ?? null;
    this.report.controllers = enforced?.controllers ?? null;
    for (const group of enforced?.orphaned ?? []) void endOrphanedGroup(group, this.log);
    const warning = unenforced(this.config, this.report.controllers);
    if (warning !== null) this.warn(warning);
  }

  /** Rejects if a slot's reconciler failed: only a new agent can recover from that. */
  async unbroken(): Promise<void> {
    await this.running;
  }

  /** Starts all parts. Waits neither for the bus nor for a slot. */
  start(): void {
    const { bus, report, started } = this;
    this.emit({ slot: "-", kind: "agent", message: `agent ${programVersion} was started` });
    this.running = Promise.all([...this.slots.values()].map((slot) => slot.run()));
    this.running.catch((error) => this.log.fatal({ err: error }, "slot's reconciler ended"));
    started.push("bus", () => bus.stop());
    for (const registration of this.registrations) started.push("registration", () => registration.stop());
    // Side by side, so that a bucket that does not answer costs no event, and the other way round.
    started.push("report and events", async (signal) => {
      const events = bus.connected ? this.eventPublisher.flush(signal) : undefined;
      await Promise.allSettled([report.stop(signal), events]);
      this.eventPublisher.stop();
    });
    for (const watch of [this.routes, this.edges, this.orders]) {
      watch.start();
      started.push("watch", () => watch.stop());
    }
    this.routes.on("change", () => report.publishSoon());
    for (const change of ["up", "down"] as const) bus.on(change, () => report.publishSoon());
    bus.start();
    checkStopTime(this.config)
      .then((warning) => warning && this.warn(warning))
      .catch((err) => this.log.warn({ err }, "systemd could not be asked for TimeoutStopSec"));
    started.repeat("status", STATUS_MS, () => report.publish(), SETTLED_MS);
    started.repeat("output", TRIM_MS, () => this.output.trim(), SETTLED_MS);
    started.repeat("figures", FIGURES_MS, () => report.measureHost(), SETTLED_MS);
  }

  /** Drains and stops all slots, withdraws, and ends. Forced: without waiting for requests. */
  async stop(mode: "graceful" | "forced" = "graceful"): Promise<void> {
    this.orders.stop();
    for (const slot of this.slots.values()) slot.shutDown(mode);
    await this.running.catch(() => {});
    const bounded = AbortSignal.timeout(withdrawnMs);
    if (this.bus.connected) await Promise.allSettled(this.registrations.map((each) => each.stored(bounded)));
    await this.started.stopAll(farewellMs);
  }

  /** Ends the agent and leaves the workers running, for the next agent to take over. */
  async leave(): Promise<void> {
    this.orders.stop();
    for (const slot of this.slots.values()) slot.leave();
    await this.started.stopAll(farewellMs);
  }

  status(): HostStatus {
    return this.report.status();
  }

  slotStatus(name: string): SlotStatus {
    return slotStatus(this.slot(name));
  }

  /** @throws SlotUnknownError */
  slot(name: string): Slot {
    const slot = this.slots.get(name);
    if (!slot) throw new SlotUnknownError(name, [...this.slots.keys()]);
    return slot;
  }

  private createSlots(): ReadonlyMap<string, Slot> {
    const { config, log, bus, edges, routes, releases, account } = this;
    const shared = { ...this.host, config, log, bus, edges, routes, releases, account };
    const slots = new Map<string, Slot>();
    for (const name of Object.keys(config.slots)) {
      const { slot, registration } = createSlot(name, shared, (event) => this.emit({ slot: name, ...event }));
      slot.on("change", () => {
        this.unready.look(slot);
        this.report.publishSoon();
      });
      slots.set(name, slot);
      this.registrations.push(registration);
    }
    return slots;
  }

  /** What can't be removed is no reason not to start. */
  private async sweepReleases(): Promise<void> {
    try {
      const swept = await this.releases.sweep(this.host.state.journal.lost);
      if (swept.length > 0) this.log.info({ swept }, "releases that nobody needs were removed");
    } catch (error) {
      this.reportError(toSlotdError(error), "releases could not be cleaned up");
    }
  }

  /** Reports an error that belongs to no slot. */
  private reportError(error: SlotdError, what: string): void {
    this.report.noteError(error);
    this.announce(error, what);
  }

  private announce(error: SlotdError, what: string): void {
    this.log.error({ ...error.toWire() }, what);
    this.emit({ slot: "-", kind: "error", message: error.message, code: error.code });
  }

  /** Tells an operator of something that works, but not as configured. */
  private warn(warning: string): void {
    this.report.addWarning(warning);
    this.log.warn({ warning }, "configuration does not fit this host");
    this.emit({ slot: "-", kind: "agent", message: warning });
  }

  private emit(event: Pick<Event, "slot" | "kind" | "message"> & Partial<Event>): void {
    const { service, host } = this.config;
    const full: Event = { at: new Date().toISOString(), service, host, ...event };
    this.events.add(full);
    this.eventPublisher.publish(full);
  }
}

function accountNames({ app }: Config) {
  const { user, group, supplementary_groups: supplementary } = app;
  return user === undefined ? null : { user, group, supplementary };
}
