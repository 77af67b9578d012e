import { join } from "node:path";
import type { Logger } from "pino";
import { BusConnection } from "../bus/connection.ts";
import { EventPublisher } from "../bus/event-publisher.ts";
import { KeyPublisher } from "../bus/key-publisher.ts";
import { programVersion } from "../daemon/version.ts";
import { type SlotdError, SlotUnknownError, toSlotdError } from "../protocol/errors.ts";
import type { Event } from "../protocol/event.ts";
import type { HostStatus, SlotStatus, WireError } from "../protocol/host-status.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import { BucketMemberPublisher } from "./bus/bucket-member-publisher.ts";
import { EdgeWatch } from "./bus/edge-watch.ts";
import { OrderWatch } from "./bus/order-watch.ts";
import { RoutesWatch } from "./bus/routes-watch.ts";
import { agentTraits } from "./bus/traits.ts";
import type { Config } from "./config/schema.ts";
import { EventLog } from "./event-log.ts";
import { hostFigures } from "./host-figures.ts";
import type { Journal } from "./journal/journal.ts";
import { AccountLookup } from "./os/account.ts";
import { bootId } from "./os/process.ts";
import type { ServiceManager } from "./os/service-manager.ts";
import { openOutput } from "./output/open-output.ts";
import type { WorkerOutput } from "./output/worker-output.ts";
import { keepPolicy, releaseBounds } from "./releases/bounds.ts";
import { objectSource } from "./releases/fetch/object-source.ts";
import { CleanUp } from "./releases/store/clean-up.ts";
import { Inventory, installedReleases } from "./releases/store/inventory.ts";
import { type Roles, rolesOf, setRoleLinks } from "./releases/store/role-links.ts";
import { ReleaseStore } from "./releases/store/store.ts";
import { storeName } from "./slots/dependencies.ts";
import type { OrderSource } from "./slots/order-source.ts";
import { Slot } from "./slots/slot.ts";
import { SlotRegistration } from "./slots/slot-registration.ts";
import { slotStatus } from "./slots/status.ts";
import { openState } from "./state.ts";
import { checkStopTime } from "./stop-time.ts";
import { HostCgroups } from "./workers/process/cgroups.ts";
import { Secrets } from "./workers/process/secrets.ts";
import { unenforced } from "./workers/process/unenforced.ts";

const STATUS_MS = 5_000;
/** Changes that come thick and fast are published together. */
const STATUS_GAP_MS = 200;
const FIGURES_MS = 30_000;
const TRIM_MS = 1_000;
/** After a start: what is done periodically begins then. */
const SETTLED_MS = 100;

/** One agent: one service on one host. It wires the parts, and answers what is asked of it; each slot lives by itself. */
export class Agent {
  readonly events = new EventLog();
  readonly slots: ReadonlyMap<string, Slot>;
  readonly output: WorkerOutput;
  readonly inventory: Inventory;
  readonly bus: BusConnection;
  private readonly lock: { release(): void };
  private readonly journal: Journal;
  private readonly releases: ReleaseStore;
  private readonly cleanUp: CleanUp;
  private readonly orders: OrderSource;
  private readonly edges: EdgeWatch;
  private readonly routes: RoutesWatch;
  private readonly eventPublisher: EventPublisher;
  private readonly statusPublisher: KeyPublisher;
  private readonly cgroups: HostCgroups | null;
  /** The controllers that limits are enforced with. */
  private controllers: string[] | null = null;
  private readonly warnings = new Set<string>();
  private readonly secrets: Secrets;
  private readonly account: AccountLookup;
  private readonly registrations: SlotRegistration[] = [];
  private readonly startedAt = new Date().toISOString();
  private readonly timers: NodeJS.Timeout[] = [];
  private statusSoon: NodeJS.Timeout | undefined;
  private lastStatusAt = 0;
  private load: HostStatus["load"] = null;
  private lastError: WireError | null = null;
  private running: Promise<unknown> = Promise.resolve();
  private closing: Promise<void> | undefined;

  /** @throws what `openState` throws. */
  constructor(
    readonly config: Config,
    private readonly log: Logger,
    /** Is told that the agent works, whenever it has looked at all of its slots. */
    private readonly manager: ServiceManager,
    environment: NodeJS.ProcessEnv,
  ) {
    const { service, host, state_directory: state } = config;
    const { lock, journal, token, logDirectory } = openState(state);
    this.lock = lock;
    this.journal = journal;
    this.output = openOutput(service, logDirectory, config.logs, environment, log);
    this.cgroups = HostCgroups.open(config.limits, log);
    this.secrets = new Secrets(config.app.secrets, environment.CREDENTIALS_DIRECTORY);
    this.account = new AccountLookup(accountNames(config));

    this.bus = new BusConnection(config.nats, `slotd ${service}@${host}`, agentTraits, log);
    this.eventPublisher = new EventPublisher(this.bus, log);
    this.statusPublisher = new KeyPublisher(this.bus, buckets.hosts, keys.host(service, host), log);
    this.releases = new ReleaseStore(join(state, "releases"), releaseBounds(config.releases), objectSource(this.bus));
    this.edges = new EdgeWatch(this.bus, service, log);
    this.routes = new RoutesWatch(this.bus, service, log);
    this.slots = new Map(Object.keys(config.slots).map((name) => [name, this.slot(name, journal, token)]));
    this.cleanUp = new CleanUp(
      {
        dir: this.releases.dir,
        list: () => installedReleases(this.releases),
        remove: (version) => this.releases.remove(version),
      },
      keepPolicy(config.releases),
      (version) => [...this.slots.values()].some((slot) => slot.uses(version)),
      (version) => this.emit({ slot: "-", kind: "release", message: `release ${version} was removed`, version }),
    );
    this.inventory = new Inventory(this.releases, {
      slots: (version) => [...this.slots.values()].filter((slot) => slot.uses(version)).map(({ name }) => name),
      roles: () => this.roles(),
    });
    manager.forgetExcept([...this.slots.keys()].map(storeName));
    const take = (slot: string, text: string) => this.slots.get(slot)?.take(text);
    const refresh = async () => void (await Promise.all([this.routes.refresh(), this.edges.refresh()]));
    this.orders = new OrderWatch(this.bus, service, host, [...this.slots.keys()], take, refresh, log);
    if (journal.corrupt) this.fault(journal.corrupt, "journal was set aside");
  }

  /** Finds out what there is: what an earlier agent left unfinished, and the workers that it left. Before that the status says nothing. */
  async takeOver(): Promise<void> {
    await this.sweep();
    await Promise.all([...this.slots.values()].map((slot) => slot.begin()));
    this.controllers = this.cgroups?.enforce() ?? null;
    const lost = unenforced(this.config, this.controllers);
    if (lost !== null) this.warn(lost);
  }

  /** Rejects where a slot's reconciler failed, which only a new agent can mend. */
  async unbroken(): Promise<void> {
    await this.running;
  }

  /** Starts all parts. Neither the bus nor a slot is waited for. */
  start(): void {
    this.emit({ slot: "-", kind: "agent", message: `agent ${programVersion} was started` });
    this.running = Promise.all([...this.slots.values()].map((slot) => slot.run()));
    this.running.catch((error) => this.log.fatal({ err: error }, "slot's reconciler ended"));
    for (const watch of [this.routes, this.edges, this.orders]) watch.start();
    this.routes.on("change", () => this.publishStatusSoon());
    for (const change of ["up", "down"] as const) this.bus.on(change, () => this.publishStatusSoon());
    this.bus.start();
    checkStopTime(this.config)
      .then((warning) => warning && this.warn(warning))
      .catch((err) => this.log.warn({ err }, "systemd could not be asked for TimeoutStopSec"));
    this.every(STATUS_MS, () => this.publishStatus());
    this.every(TRIM_MS, () => this.output.trim());
    this.every(FIGURES_MS, async () => {
      this.load = await hostFigures(this.config.state_directory);
    });
  }

  /** Drains and stops all slots, withdraws, and lets go of everything. Forced: without waiting for requests. */
  async stop(mode: "graceful" | "forced" = "graceful"): Promise<void> {
    this.orders.stop();
    for (const slot of this.slots.values()) slot.shutDown(mode);
    await this.running.catch(() => {});
    const bounded = AbortSignal.timeout(2_000);
    if (this.bus.connected) await Promise.allSettled(this.registrations.map((registrar) => registrar.stored(bounded)));
    await this.close();
  }

  /** Ends the agent and leaves the workers running, for the next agent to take over. */
  async leave(): Promise<void> {
    for (const slot of this.slots.values()) slot.leave();
    await this.close();
  }

  status(): HostStatus {
    const { service, stage, host } = this.config;
    return {
      service,
      stage,
      host,
      agentVersion: programVersion,
      pid: process.pid,
      bootId: bootId(),
      startedAt: this.startedAt,
      observedAt: new Date().toISOString(),
      bus: { connected: this.bus.connected, server: this.bus.server, since: this.bus.since, error: this.bus.error },
      controllers: this.controllers,
      load: this.load,
      slots: Object.fromEntries([...this.slots].map(([name, slot]) => [name, slotStatus(slot)])),
      warnings: [...this.warnings],
      lastError: this.lastError,
    };
  }

  private async tidy(): Promise<void> {
    try {
      await setRoleLinks(this.config.state_directory, this.roles());
      await this.cleanUp.run();
    } catch (err) {
      this.log.warn({ err }, "releases could not be tidied up; it is tried again after the next change");
    }
  }

  /** Which version is current on this host, and which previous. */
  private roles(): Roles {
    const residents = [...this.slots.values()].flatMap(({ runtime: { resident } }) => resident ?? []);
    return rolesOf(residents.map(({ release: { version }, epoch, role }) => ({ version, epoch, role })));
  }

  slotStatus(name: string): SlotStatus {
    return slotStatus(this.find(name));
  }

  /** @throws SlotUnknownError */
  find(name: string): Slot {
    const slot = this.slots.get(name);
    if (!slot) throw new SlotUnknownError(name, [...this.slots.keys()]);
    return slot;
  }

  private slot(name: string, journal: Journal, token: string): Slot {
    const { config, log } = this;
    const key = keys.member(config.service, config.stage, config.host, name);
    const registrar = new SlotRegistration(name, config, new BucketMemberPublisher(this.bus, key, log));
    this.registrations.push(registrar);
    const slot = new Slot({
      name,
      config,
      registration: registrar,
      edges: this.edges,
      traffic: () => ({ routes: this.routes.routes, edges: this.edges.live() ?? [] }),
      record: journal.slot(name),
      journalLost: journal.lost,
      releases: this.releases,
      manager: this.manager,
      token: `${token}.${name}`,
      output: this.output,
      cgroup: this.cgroups?.slot(name, config.slots[name]?.cpu_weight ?? 100) ?? null,
      secrets: this.secrets,
      account: this.account,
      tidy: () => this.tidy(),
      makeRoom: async () => (await this.cleanUp.makeRoom()).length > 0,
      emit: (event) => this.emit({ slot: name, ...event }),
      log: log.child({ slot: name }),
    });
    slot.on("change", () => this.publishStatusSoon());
    return slot;
  }

  /** Removes what an earlier agent left unfinished, or no slot needs. What can't be removed is no reason not to start. */
  private async sweep(): Promise<void> {
    try {
      const swept = await this.releases.prepare();
      if (!this.journal.lost) swept.push(...(await this.cleanUp.run()));
      if (swept.length > 0) this.log.info({ swept }, "releases that nobody needs were swept up");
    } catch (error) {
      this.fault(toSlotdError(error), "releases could not be swept up");
    }
  }

  /** Tells of an error that belongs to no slot. */
  private fault(error: SlotdError, what: string): void {
    this.lastError = { ...error.toWire(), at: new Date().toISOString() };
    this.log.error({ ...this.lastError }, what);
    this.emit({ slot: "-", kind: "error", message: error.message, code: error.code });
  }

  /** Tells an operator of something that works, but not as the configuration wants it. */
  private warn(warning: string): void {
    this.warnings.add(warning);
    this.log.warn({ warning }, "configuration does not fit this host");
    this.emit({ slot: "-", kind: "agent", message: warning });
    this.publishStatusSoon();
  }

  private emit(event: Pick<Event, "slot" | "kind" | "message"> & Partial<Event>): void {
    const { service, host } = this.config;
    const full: Event = { at: new Date().toISOString(), service, host, ...event };
    this.events.add(full);
    this.eventPublisher.publish(full);
  }

  private publishStatusSoon(): void {
    if (this.statusSoon) return;
    const wait = Math.max(0, this.lastStatusAt + STATUS_GAP_MS - performance.now());
    this.statusSoon = setTimeout(() => this.publishStatus(), wait);
  }

  private publishStatus(): void {
    clearTimeout(this.statusSoon);
    this.statusSoon = undefined;
    this.lastStatusAt = performance.now();
    const status = this.status();
    this.statusPublisher.set(JSON.stringify(status));
    this.manager.beat(summary(status));
  }

  /** Does something now and then again, never twice at once; a failure is logged and is no reason to stop. */
  private every(ms: number, work: () => void | Promise<void>): void {
    let busy = false;
    const run = async () => {
      if (busy) return;
      busy = true;
      try {
        await work();
      } catch (error) {
        this.log.warn({ ...toSlotdError(error).toWire() }, "periodic work failed");
      }
      busy = false;
    };
    // Not before what serves was looked at.
    this.timers.push(setTimeout(run, SETTLED_MS), setInterval(run, ms));
  }

  /** Once, however many signals tell the agent to end. */
  private close(): Promise<void> {
    this.closing ??= this.letGo();
    return this.closing;
  }

  private async letGo(): Promise<void> {
    this.orders.stop();
    for (const timer of this.timers) clearInterval(timer);
    if (this.bus.connected) this.publishStatus();
    clearTimeout(this.statusSoon);
    if (this.bus.connected) {
      const bounded = AbortSignal.timeout(1_000);
      await Promise.allSettled([this.statusPublisher.stored(bounded), this.eventPublisher.flush(bounded)]);
    }
    this.routes.stop();
    this.edges.stop();
    this.statusPublisher.stop();
    this.eventPublisher.stop();
    for (const registrar of this.registrations) registrar.stop();
    await this.bus.stop();
    this.lock.release();
  }
}

/** The slots in a line, for `systemctl status`. */
function summary({ slots, bus }: HostStatus): string {
  const each = Object.values(slots).map(({ slot, state, version, workers }) => {
    const what = version === null ? "" : ` ${version} (${workers.ready}/${workers.wanted})`;
    return `${slot}: ${state}${what}`;
  });
  return [...each, bus.connected ? "bus connected" : "bus away"].join(", ");
}

function accountNames({ app }: Config) {
  const { user, group, supplementary_groups: supplementary } = app;
  return user === undefined ? null : { user, group, supplementary };
}
