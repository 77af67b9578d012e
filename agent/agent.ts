import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import {
  buckets,
  type Event,
  type HostStatus,
  keys,
  memberLeaseMs,
  type SlotStatus,
  SlotUnknownError,
  toSlotdError,
  type WireError,
} from "../protocol/index.ts";
import { Bus } from "./bus/bus.ts";
import { EventPublisher } from "./bus/event-publisher.ts";
import { KeyPublisher } from "./bus/key-publisher.ts";
import { objectSource } from "./bus/object-source.ts";
import { OrderWatch } from "./bus/order-watch.ts";
import type { Config } from "./config/schema.ts";
import { EventLog } from "./event-log.ts";
import { hostFigures } from "./host-figures.ts";
import { Journal } from "./journal/journal.ts";
import { instanceToken } from "./journal/token.ts";
import { holdLock } from "./os/lock.ts";
import { bootId } from "./os/process.ts";
import { ReleaseStore } from "./releases/store.ts";
import { Registrar } from "./slots/registrar.ts";
import { Slot } from "./slots/slot.ts";
import { slotStatus } from "./slots/status.ts";
import { agentVersion } from "./version.ts";
import { trimOutput } from "./workers/output.ts";

const STATUS_MS = 5_000;
/** Changes that come thick and fast are published together. */
const STATUS_GAP_MS = 200;
const FIGURES_MS = 30_000;
const TRIM_MS = 10_000;

/** One agent: one service on one host. It wires the parts, and answers what is asked of it; each slot lives by itself. */
export class Agent {
  readonly events = new EventLog();
  readonly slots: ReadonlyMap<string, Slot>;
  readonly logDirectory: string;
  readonly bus: Bus;
  private readonly lock: { release(): void };
  private readonly releases: ReleaseStore;
  private readonly orders: OrderWatch;
  private readonly eventPublisher: EventPublisher;
  private readonly statusPublisher: KeyPublisher;
  private readonly registrars: Registrar[] = [];
  private readonly startedAt = new Date().toISOString();
  private readonly timers: NodeJS.Timeout[] = [];
  private statusSoon: NodeJS.Timeout | undefined;
  private lastStatusAt = 0;
  private load: HostStatus["load"] = null;
  private lastError: WireError | null = null;
  private running: Promise<unknown> = Promise.resolve();

  /** @throws AgentRunningError, or the error of a state directory that can't be used. */
  constructor(
    readonly config: Config,
    private readonly log: Logger,
  ) {
    const { service, host, state_directory: state } = config;
    this.logDirectory = join(state, "logs");
    mkdirSync(this.logDirectory, { recursive: true, mode: 0o750 });
    this.lock = holdLock(join(state, "lock"));
    const journal = Journal.open(state);
    const token = instanceToken(state);

    this.bus = new Bus(config.nats, `slotd ${service}@${host}`, log);
    this.eventPublisher = new EventPublisher(this.bus, log);
    this.statusPublisher = new KeyPublisher(this.bus, buckets.hosts, keys.host(service, host), log);
    this.releases = new ReleaseStore(join(state, "releases"), releaseBounds(config), objectSource(this.bus));
    this.slots = new Map(Object.keys(config.slots).map((name) => [name, this.slot(name, journal, token)]));
    const take = (slot: string, text: string) => this.slots.get(slot)?.take(text);
    this.orders = new OrderWatch(this.bus, service, host, [...this.slots.keys()], take, log);
    if (journal.corrupt) {
      this.lastError = { ...journal.corrupt.toWire(), at: this.startedAt };
      log.error({ ...this.lastError }, "journal was set aside");
      this.emit({ slot: "-", kind: "error", message: journal.corrupt.message, code: journal.corrupt.code });
    }
  }

  /** Starts all parts. Neither the bus nor a slot is waited for. */
  async start(): Promise<void> {
    const swept = await this.releases.prepare();
    if (swept.length > 0) this.log.info({ swept }, "unfinished releases were swept up");
    this.emit({ slot: "-", kind: "agent", message: `agent ${agentVersion} was started` });
    this.running = Promise.all([...this.slots.values()].map((slot) => slot.run()));
    this.running.catch((error) => this.log.fatal({ err: error }, "slot's reconciler ended"));
    this.orders.start();
    for (const change of ["up", "down"] as const) this.bus.on(change, () => this.publishStatusSoon());
    this.bus.start();
    this.every(STATUS_MS, () => this.publishStatus());
    this.every(TRIM_MS, () => trimOutput(this.logDirectory, this.config.logs.max_worker_bytes));
    this.every(FIGURES_MS, async () => {
      this.load = await hostFigures(this.config.state_directory);
    });
  }

  /** Drains and stops all slots, withdraws, and lets go of everything. Forced: without waiting for requests. */
  async stop(mode: "graceful" | "forced" = "graceful"): Promise<void> {
    this.orders.stop();
    for (const slot of this.slots.values()) slot.shutDown(mode);
    await this.running;
    const bounded = AbortSignal.timeout(2_000);
    if (this.bus.connected) await Promise.allSettled(this.registrars.map((registrar) => registrar.stored(bounded)));
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
      agentVersion,
      pid: process.pid,
      bootId: bootId(),
      startedAt: this.startedAt,
      observedAt: new Date().toISOString(),
      bus: { connected: this.bus.connected, server: this.bus.server, since: this.bus.since, error: this.bus.error },
      load: this.load,
      slots: Object.fromEntries([...this.slots].map(([name, slot]) => [name, slotStatus(slot)])),
      lastError: this.lastError,
    };
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
    const publisher = new KeyPublisher(this.bus, buckets.serversets, key, log, memberLeaseMs / 3);
    const registrar = new Registrar(name, config, publisher);
    this.registrars.push(registrar);
    const slot = new Slot({
      name,
      config,
      registrar,
      record: journal.slot(name),
      journalLost: journal.corrupt !== null,
      releases: this.releases,
      token: `${token}.${name}`,
      logDirectory: this.logDirectory,
      usedElsewhere: (version) => [...this.slots.values()].some((other) => other !== slot && other.uses(version)),
      emit: (event) => this.emit({ slot: name, ...event }),
      log: log.child({ slot: name }),
    });
    slot.on("change", () => this.publishStatusSoon());
    return slot;
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
    this.statusPublisher.set(JSON.stringify(this.status()));
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
    void run();
    this.timers.push(setInterval(run, ms));
  }

  private async close(): Promise<void> {
    this.orders.stop();
    this.eventPublisher.stop();
    for (const timer of this.timers) clearInterval(timer);
    if (this.bus.connected) this.publishStatus();
    clearTimeout(this.statusSoon);
    const bounded = AbortSignal.timeout(1_000);
    if (this.bus.connected) await this.statusPublisher.stored(bounded).catch(() => {});
    this.statusPublisher.stop();
    for (const registrar of this.registrars) registrar.stop();
    await this.bus.stop();
    this.lock.release();
  }
}

function releaseBounds({ releases }: Config) {
  return {
    maxArchiveBytes: releases.max_archive_bytes,
    maxUnpackedBytes: releases.max_unpacked_bytes,
    maxEntries: releases.max_entries,
    stallTimeoutMs: releases.stall_timeout_ms,
    fetchAttempts: releases.fetch_attempts,
  };
}
