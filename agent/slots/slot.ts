import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import {
  DrainCancelledError,
  type Event,
  InternalError,
  type Order,
  type OrderOutcome,
  orderVersion,
  type Progress,
  parseOrder,
  type SlotdError,
  type SlotState,
  SlotStateError,
  toSlotdError,
  type WireError,
  type WorkerEnd,
} from "../../protocol/index.ts";
import type { Config } from "../config/schema.ts";
import { drain } from "../drain/drain.ts";
import { type ConnectionCount, countConnections } from "../drain/in-flight.ts";
import type { SlotRecord } from "../journal/journal.ts";
import type { Resident } from "../journal/schema.ts";
import { Listener } from "../os/listener.ts";
import { tcpConnections } from "../os/tcp-connections.ts";
import type { InstalledRelease, ReleaseStore } from "../releases/store.ts";
import { backoffMs } from "../workers/backoff.ts";
import { endTree } from "../workers/end-tree.ts";
import { Pool } from "../workers/pool.ts";
import type { WorkerSpec } from "../workers/spec.ts";
import { findLeftWorkers } from "./adopt.ts";
import { decide, type Step, type View } from "./decide.ts";
import { describeOrder, fingerprint, judgeOrder } from "./judge-order.ts";
import type { Registrar } from "./registrar.ts";
import { type SlotEvent, transition } from "./transitions.ts";
import { untilReady } from "./until-ready.ts";

/** Outcomes of earlier orders that are kept, so that a repeat is answered. */
const HISTORY = 32;
/** A step that failed and would be the next one again waits at least, and at most, this long. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** How long the agent's own end waits for the bus to take a withdrawal. */
const SHUTDOWN_WITHDRAW_MS = 3_000;

export interface SlotParts {
  name: string;
  config: Config;
  record: SlotRecord;
  releases: ReleaseStore;
  registrar: Registrar;
  /** Marks the slot's processes. */
  token: string;
  logDirectory: string;
  /** Whether another slot of the host needs that version's files. */
  usedElsewhere(version: string): boolean;
  emit(event: Pick<Event, "kind" | "message"> & Partial<Event>): void;
  log: Logger;
}

interface SlotEvents {
  /** Something that the status shows has changed. */
  change: [];
}

/** The reason of an aborted step: something else is wanted now. */
class Superseded extends Error {}

/**
 * One slot: a port and a share of the workers. It drives what is towards what is wanted, a step at a time, and never waits for
 * another slot. What is wanted is in the journal; the states are described with `slotStates` in the protocol, and how one leads to
 * another stands in `transitions`.
 */
export class Slot extends EventEmitter<SlotEvents> {
  state: SlotState = "empty";
  since = new Date().toISOString();
  pool: Pool | null = null;
  progress: Progress | null = null;
  lastError: WireError | null = null;
  refused: WireError | null = null;
  lastEnd: WorkerEnd | null = null;
  private staged: InstalledRelease | null = null;
  private drained = false;
  private shuttingDown: "no" | "graceful" | "forced" = "no";
  private retry = false;
  private failures = 0;
  private retryTimer: NodeJS.Timeout | undefined;
  private step = new AbortController();
  private interruptible = false;
  private woken = false;
  private onWake: (() => void) | undefined;

  constructor(private readonly parts: SlotParts) {
    super();
  }

  get name(): string {
    return this.parts.name;
  }

  get port(): number {
    return (this.parts.config.slots[this.name] as { port: number }).port;
  }

  get journal(): SlotRecord["current"] {
    return this.parts.record.current;
  }

  get resident(): Resident | null {
    return this.journal.resident;
  }

  get wantedWorkers(): number {
    return this.resident?.workers ?? (this.parts.config.slots[this.name] as { workers: number }).workers;
  }

  /** Connections on the slot's port; null where no socket is open. */
  countConnections(quietMs = 0): ConnectionCount | null {
    if (!this.pool) return null;
    return countConnections(tcpConnections(this.parts.config.bind, this.port), quietMs);
  }

  /** Whether the slot holds, or is about to hold, that version's files. */
  uses(version: string): boolean {
    const { pending } = this;
    return (
      this.resident?.release.version === version || (pending?.action === "install" && orderVersion(pending) === version)
    );
  }

  // --- what others ask of a slot

  /**
   * Takes an order as it came from the bus. Whatever it holds, nothing is thrown for its content; the answer is in the status.
   * @throws JournalUnwritableError where it could not be taken down; it has to be brought again.
   */
  take(text: string): void {
    let order: Order;
    try {
      order = parseOrder(text);
    } catch (error) {
      this.refuse(toSlotdError(error));
      return;
    }
    const verdict = judgeOrder(this.name, order, this.journal);
    if (verdict.verdict === "refuse") {
      this.refuse(verdict.error, order);
      return;
    }
    if (verdict.verdict === "repeat") return;
    try {
      this.accept(order);
    } catch (error) {
      this.report(toSlotdError(error), orderVersion(order), order.id);
      throw error;
    }
  }

  /** Drains the slot and holds it so, its workers running, until `undrain` or a new order. */
  drain(by: string, reason?: string): void {
    if (!["serving", "draining"].includes(this.state))
      throw new SlotStateError(this.name, this.state, "drain", "only a slot that serves can be drained");
    if (this.pending) throw new SlotStateError(this.name, this.state, "drain", `order ${this.pending.id} is under way`);
    this.parts.record.update({ held: { by, ...(reason !== undefined && { reason }) } });
    this.emitEvent({
      kind: "drain",
      message: `drain was asked for by ${by}`,
      ...(reason !== undefined && { facts: { reason } }),
    });
    this.wake();
  }

  /** Takes a drain back, an operator's or an order's: the same processes register again. */
  undrain(by: string): void {
    if (this.state !== "draining")
      throw new SlotStateError(
        this.name,
        this.state,
        "undrain",
        "only a drain that is under way or held can be taken back",
      );
    const { pending } = this;
    const version = this.resident?.release.version ?? "";
    if (pending) this.finish("cancelled", new DrainCancelledError(version));
    this.parts.record.update({ held: null });
    this.emitEvent({ kind: "drain", message: `drain was taken back by ${by}` });
    this.interrupt();
  }

  /** Replaces the workers one by one, or tries a failed slot again. */
  restart(by: string): void {
    if (!["serving", "failed"].includes(this.state) || !this.resident)
      throw new SlotStateError(
        this.name,
        this.state,
        "restart",
        "only a slot that serves or has failed can be restarted",
      );
    this.emitEvent({ kind: "worker", message: `restart was asked for by ${by}` });
    this.retry = true;
    this.wake();
  }

  /** Drains and stops the workers, and ends the reconciler. Forced: without waiting for anybody. The release stays. */
  shutDown(mode: "graceful" | "forced"): void {
    this.shuttingDown = mode;
    this.interrupt();
  }

  /** Ends the reconciler and lets go of the workers, which live on. */
  abandon(): void {
    this.shuttingDown = "forced";
    this.pool?.abandon();
    this.pool = null;
    this.step.abort(new Superseded());
    clearTimeout(this.retryTimer);
    this.wake();
  }

  // --- the reconciler

  /** Takes over what an earlier agent left, then reconciles until it is shut down. */
  async run(): Promise<void> {
    try {
      await this.takeOver();
    } catch (error) {
      this.setFailed(toSlotdError(error));
    }
    for (;;) {
      const step = decide(this.view());
      if (step === null) {
        this.register();
        if (this.shuttingDown !== "no") break;
        await this.sleepUntilWoken();
        continue;
      }
      this.step = new AbortController();
      this.interruptible = ["fetch", "start", "drain", "roll"].includes(step);
      try {
        await this.perform(step);
        this.failures = 0;
      } catch (error) {
        if (!(error instanceof Superseded)) await this.onFailure(step, toSlotdError(error));
      } finally {
        this.interruptible = false;
        this.setProgress(null);
      }
    }
    clearTimeout(this.retryTimer);
  }

  private view(): View {
    const { pending, resident } = this;
    const wanted = pending?.action === "install" ? pending.release : null;
    return {
      state: this.state,
      resident,
      pending,
      staged: wanted !== null && this.staged?.version === wanted.version && this.staged.sha256 === wanted.sha256,
      running: this.pool !== null,
      drained: this.drained,
      held: this.journal.held !== null,
      shutdown: this.shuttingDown !== "no",
      retry: this.retry,
    };
  }

  private perform(step: NonNullable<Step>): Promise<void> {
    switch (step) {
      case "fetch":
        return this.fetchStep();
      case "start":
        return this.startStep();
      case "roll":
        return this.rollStep();
      case "drain":
        return this.drainStep();
      case "undrain":
        return this.undrainStep();
      case "stop":
        return this.stopStep();
      case "remove":
        return this.removeStep();
      case "settle":
        return this.settleStep();
      case "clear":
        this.setState("clear");
        return Promise.resolve();
      default:
        return step satisfies never;
    }
  }

  private async fetchStep(): Promise<void> {
    const order = this.pending;
    if (order?.action !== "install") return;
    const beside = this.pool !== null;
    if (!beside) this.setState("fetch");
    this.staged = await this.obtain(order.release, () => {
      if (!beside) this.setState("unpack");
    });
  }

  /** The release, installed: the one that is there, or fetched and unpacked. */
  private async obtain(release: Resident["release"], onUnpack: () => void): Promise<InstalledRelease> {
    const { releases } = this.parts;
    const { version } = release;
    const there = await releases.find(version);
    if (there?.sha256 === release.sha256) return there;
    const { signal } = this.step;
    const show = (step: string, unit: Progress["unit"]) => (p: { done: number; total: number }) =>
      this.setProgress({ step, version, unit, ...p });
    const fetched = await releases.fetch(release, { signal, onProgress: show("fetching", "bytes") });
    onUnpack();
    const installed = await releases.unpack(fetched, { signal, onProgress: show("unpacking", "entries") });
    this.emitEvent({
      kind: "release",
      message: `release ${version} was installed`,
      version,
      facts: { sha256: release.sha256 },
    });
    return installed;
  }

  private async startStep(): Promise<void> {
    const { pending } = this;
    const release = pending?.action === "install" ? pending.release : this.resident?.release;
    if (!release) return;
    const { signal } = this.step;
    this.retry = false;
    if (this.resident?.release.version !== release.version) {
      const workers = pending?.action === "install" ? pending.workers : undefined;
      const resident = { release, epoch: this.journal.epoch, proven: false, ...(workers && { workers }) };
      this.parts.record.update({ resident });
    }
    const installed = await this.obtain(release, () => {});
    this.setState("start");
    try {
      this.pool ??= this.openPool(installed, Listener.open(this.parts.config.bind, this.port));
      await this.pool.start();
      const { pool } = this;
      await untilReady(pool, this.parts.config.readiness, signal, (ready, needed) =>
        this.setProgress({ step: "starting", version: release.version, done: ready, total: needed, unit: "workers" }),
      );
    } catch (error) {
      if (!(error instanceof Superseded)) await this.endPool();
      throw error;
    }
    this.parts.record.update({ resident: { ...(this.resident as Resident), proven: true } });
    this.setState("ready");
  }

  private async rollStep(): Promise<void> {
    this.retry = false;
    await this.pool?.roll(this.step.signal, (done, total) =>
      this.setProgress({ step: "restarting", done, total, unit: "workers", ...this.versionFact() }),
    );
    this.emitEvent({ kind: "worker", message: "all workers were restarted", ...this.versionFact() });
  }

  private async drainStep(): Promise<void> {
    const { config, registrar, record } = this.parts;
    const { pending } = this;
    const order = pending?.action === "uninstall" ? pending : null;
    const forced =
      this.shuttingDown === "forced" ? "the agent was told to end at once" : order?.force ? order.reason : undefined;
    const version = this.resident?.release.version ?? "";
    this.drained = false;
    this.setState("drain");
    const lastDrain = await drain({
      version,
      forced,
      signal: this.step.signal,
      pauseMs: config.drain.pause_ms,
      timeoutMs: order?.drainTimeoutMs ?? config.drain.timeout_ms,
      ...(this.shuttingDown !== "no" && { withdrawTimeoutMs: SHUTDOWN_WITHDRAW_MS }),
      withdraw: (signal) => registrar.stored(signal),
      count: () => this.countConnections(config.drain.quiet_ms) ?? { open: 0, inFlight: 0 },
      onProgress: (waitingFor, { open, inFlight }) =>
        this.setProgress({
          step: `waiting for ${waitingFor}`,
          version,
          done: open - inFlight,
          total: open,
          unit: "connections",
        }),
    });
    this.drained = true;
    record.update({ lastDrain });
    this.emitEvent({
      kind: "drain",
      message: `${version} was drained (${lastDrain.idle})`,
      version,
      facts: { ...lastDrain },
    });
  }

  private async undrainStep(): Promise<void> {
    this.drained = false;
    this.setState("undrain");
  }

  private async stopStep(): Promise<void> {
    this.setState("stop");
    await this.endPool();
  }

  /** Ends all of the slot's processes. Between the two journal writes a crash leaves processes that are to be ended, not taken over. */
  private async endPool(): Promise<void> {
    if (!this.pool) return;
    this.parts.record.update({ stopping: true });
    await this.pool.stop();
    this.pool = null;
    this.drained = false;
    this.parts.record.update({ stopping: false, workers: [] });
    this.register();
  }

  private async removeStep(): Promise<void> {
    const version = this.resident?.release.version;
    this.setState("remove");
    const pending = this.pending;
    const wanted = pending?.action === "install" && orderVersion(pending) === version;
    if (version !== undefined && !wanted && !this.parts.usedElsewhere(version)) {
      await this.parts.releases.remove(version);
      this.emitEvent({ kind: "release", message: `release ${version} was removed`, version });
    }
    this.parts.record.update({ resident: null });
  }

  private async settleStep(): Promise<void> {
    const { pending, resident } = this;
    if (pending?.action === "install" && resident) {
      const { workers, ...rest } = resident;
      this.parts.record.update({
        resident: { ...rest, epoch: pending.epoch, ...(pending.workers && { workers: pending.workers }) },
      });
      if (this.pool && this.pool.wanted !== this.wantedWorkers) await this.pool.resize(this.wantedWorkers);
    } else {
      this.setState("clear");
    }
    this.finish("done");
    this.register();
  }

  private async onFailure(step: NonNullable<Step>, error: SlotdError): Promise<void> {
    const { pending } = this;
    this.report(error, pending ? orderVersion(pending) : this.resident?.release.version, pending?.id);
    const serving = this.state === "serving" || this.state === "draining";
    if (!serving && transition(this.state, "fail")) this.setState("fail");
    try {
      if (pending && step !== "drain" && step !== "roll") this.finish("failed", error);
    } catch (unwritable) {
      this.parts.log.error({ err: unwritable }, "order's failure could not be recorded");
    }
    const wait = backoffMs(this.failures++, RETRY_MIN_MS, RETRY_MAX_MS);
    if (this.state === "failed" && this.resident?.proven && !this.pending) {
      // It served before, so it is brought back; whatever was in the way may go away.
      clearTimeout(this.retryTimer);
      this.retryTimer = setTimeout(() => {
        this.retry = true;
        this.wake();
      }, wait);
    } else if (decide(this.view()) === step) {
      const timer = setTimeout(() => this.wake(), wait);
      await this.sleepUntilWoken();
      clearTimeout(timer);
    }
  }

  // --- taking over after the agent's own end

  private async takeOver(): Promise<void> {
    const { token, config, log } = this.parts;
    const { resident, stopping } = this.journal;
    const found = findLeftWorkers(
      token,
      resident && !stopping ? resident.release.version : null,
      config.bind,
      this.port,
      this.journal.workers,
    );
    if (found.strays.length > 0 || (found.workers.length > 0 && !found.listener)) {
      // Nothing that serves: processes of an unfinished stop, of another version, or without the socket.
      const all = found.listener ? found.strays : [...found.strays, ...found.workers.map(({ identity }) => identity)];
      log.warn({ pids: all.map(({ pid }) => pid) }, "processes of an earlier agent are being ended");
      await endTree(
        { slot: this.name, token, leaders: [], only: all, signal: config.app.stop_signal as NodeJS.Signals },
        config.app.stop_grace_ms,
      );
    }
    if (!resident || !found.listener) {
      const record = this.journal.order;
      if (resident && !resident.proven && record?.outcome === "failed") this.setFailed(null);
      if (record?.error) this.lastError = record.error;
      return;
    }
    const installed = await this.parts.releases.find(resident.release.version);
    const tree = installed ?? {
      version: resident.release.version,
      sha256: resident.release.sha256,
      tree: "/nonexistent",
    };
    this.pool = this.openPool(tree, found.listener);
    this.pool.adopt(found.workers);
    this.setState(resident.proven ? "adopt" : "start");
    this.emitEvent({
      kind: "worker",
      message: `${found.workers.length} workers of an earlier agent were taken over`,
      ...this.versionFact(),
    });
    await this.pool.start();
  }

  private openPool(installed: InstalledRelease, listener: Listener): Pool {
    const { config, token, logDirectory, log } = this.parts;
    const spec: WorkerSpec = {
      service: config.service,
      slot: this.name,
      version: installed.version,
      tree: installed.tree,
      port: this.port,
      token,
      app: config.app,
      logDirectory,
    };
    const pool = new Pool(spec, listener, this.wantedWorkers, config.bind, config.health, log);
    pool.on("change", () => {
      this.register();
      this.emit("change");
    });
    pool.on("started", () => this.recordWorkers(pool));
    pool.on("ended", (end) => {
      this.lastEnd = end;
      const expected = end.reason === "stopped" || end.reason === "killed";
      if (!expected) {
        const message = `worker ${end.worker} ended by itself`;
        this.emitEvent({ kind: "worker", message, version: end.version, facts: { ...end } });
      }
    });
    return pool;
  }

  private recordWorkers(pool: Pool): void {
    const workers = pool.workers.map(({ number, identity, startedAt }) => ({ number, identity, startedAt }));
    try {
      this.parts.record.update({ workers });
    } catch (error) {
      // They are found by their token as well, so that this is no reason not to serve.
      this.parts.log.error({ err: error }, "workers could not be journalled");
    }
  }

  // --- orders

  private get pending(): Order | null {
    const record = this.journal.order;
    return record?.outcome === "pending" ? record.order : null;
  }

  private accept(order: Order): void {
    const { journal } = this;
    const history = journal.history.map((entry) =>
      entry.id === journal.order?.order.id && entry.outcome === "pending"
        ? { ...entry, outcome: "superseded" as const }
        : entry,
    );
    const entry = { id: order.id, fingerprint: fingerprint(order), outcome: "pending" as const };
    this.parts.record.update({
      epoch: Math.max(journal.epoch, order.epoch),
      order: { order, outcome: "pending" },
      history: [...history, entry].slice(-HISTORY),
      held: null,
    });
    this.refused = null;
    this.lastError = null;
    this.failures = 0;
    clearTimeout(this.retryTimer);
    this.interrupt();
    this.emitEvent({
      kind: "order",
      message: `order was accepted: ${describeOrder(order)}`,
      orderId: order.id,
      version: orderVersion(order),
    });
  }

  private finish(outcome: OrderOutcome, error?: SlotdError): void {
    const record = this.journal.order;
    if (!record) return;
    const facts = error && { error: { ...error.toWire(), orderId: record.order.id } };
    const history = this.journal.history.map((entry) =>
      entry.id === record.order.id ? { ...entry, outcome, ...facts } : entry,
    );
    this.parts.record.update({ order: { order: record.order, outcome, ...facts }, history });
    const orderId = record.order.id;
    const message = `order was ${outcome}: ${describeOrder(record.order)}`;
    this.emitEvent({
      kind: "order",
      message,
      orderId,
      version: orderVersion(record.order),
      ...(error && { code: error.code }),
    });
  }

  private refuse(error: SlotdError, order?: Order): void {
    const wire = { ...error.toWire(), ...(order && { orderId: order.id }), at: new Date().toISOString() };
    this.refused = wire;
    this.parts.log.warn({ ...wire }, "order was refused");
    this.emitEvent({
      kind: "order",
      message: wire.message,
      code: wire.code,
      ...(wire.orderId && { orderId: wire.orderId }),
      ...(wire.field && { facts: { field: wire.field } }),
    });
  }

  private report(error: SlotdError, version?: string, orderId?: string): void {
    this.lastError = { ...error.toWire(), at: new Date().toISOString(), ...(orderId && { orderId }) };
    const unforeseen = error instanceof InternalError ? { err: error.cause ?? error } : {};
    this.parts.log.error({ ...this.lastError, version, ...unforeseen }, "step failed");
    this.emitEvent({
      kind: "error",
      message: error.message,
      code: error.code,
      ...(version !== undefined && { version }),
      ...(orderId !== undefined && { orderId }),
    });
  }

  // --- state

  private setFailed(error: SlotdError | null): void {
    if (error) this.report(error, this.resident?.release.version);
    this.setState("fail");
  }

  /** The one place where the state changes. A pair that the table does not know is a fault of this program, and changes nothing. */
  private setState(event: SlotEvent): void {
    const was = this.state;
    const next = transition(was, event);
    if (next === null) throw new InternalError(`slot ${this.name}: ${event} is not known in state ${was}`);
    this.state = next;
    if (next !== was) {
      this.since = new Date().toISOString();
      this.parts.log.info({ state: next, was, event, ...this.versionFact() }, "state changed");
      this.emitEvent({ kind: "state", message: `${was} → ${next}`, ...this.versionFact() });
    }
    this.register();
    this.emit("change");
  }

  /** Says on the bus what the slot serves now. */
  private register(): void {
    const { registrar, config } = this.parts;
    const { pool, resident } = this;
    if (!pool || !resident || !(this.state === "serving" || this.state === "draining")) {
      registrar.set(null);
      return;
    }
    // After a take-over the registration stands until the workers' health is known.
    if (this.state === "serving" && !pool.health.known) return;
    registrar.set({
      service: config.service,
      stage: config.stage,
      host: config.host,
      slot: this.name,
      version: resident.release.version,
      sha256: resident.release.sha256,
      epoch: resident.epoch,
      address: { host: config.advertise, port: this.port },
      capacity: pool.ready,
      workers: pool.wanted,
      status: this.state === "draining" ? "STOPPING" : "ALIVE",
    });
  }

  private setProgress(progress: Progress | null): void {
    this.progress = progress;
    this.emit("change");
  }

  private emitEvent(event: Pick<Event, "kind" | "message"> & Partial<Event>): void {
    this.parts.emit({ slot: this.name, ...event });
    this.emit("change");
  }

  private versionFact(): { version?: string } {
    const version = this.resident?.release.version;
    return version === undefined ? {} : { version };
  }

  // --- sleeping and waking

  /** Something changed that the next step depends on. */
  private wake(): void {
    this.woken = true;
    this.onWake?.();
  }

  /** The same, and a step under way that can be left is left. */
  private interrupt(): void {
    if (this.interruptible) this.step.abort(new Superseded());
    this.wake();
  }

  private async sleepUntilWoken(): Promise<void> {
    if (!this.woken) {
      await new Promise<void>((resolve) => {
        this.onWake = resolve;
      });
      this.onWake = undefined;
    }
    this.woken = false;
  }
}
