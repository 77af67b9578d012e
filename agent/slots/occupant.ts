import { EventEmitter } from "node:events";
import type { Order, Progress, WorkerEnd } from "../../protocol/index.ts";
import { drain } from "../drain/drain.ts";
import { type ConnectionCount, countConnections } from "../drain/in-flight.ts";
import type { Resident } from "../journal/schema.ts";
import { Listener } from "../os/listener.ts";
import { tcpConnections } from "../os/tcp-connections.ts";
import type { InstalledRelease } from "../releases/store.ts";
import { endTree } from "../workers/end-tree.ts";
import { Pool } from "../workers/pool.ts";
import { findLeft, versionInUse } from "./find-left.ts";
import type { Machine } from "./machine.ts";
import type { SlotParts } from "./parts.ts";
import { Superseded } from "./superseded.ts";
import { untilReady } from "./until-ready.ts";

export interface DrainBounds {
  timeoutMs: number;
  withdrawTimeoutMs?: number;
  forced?: string | undefined;
}

/**
 * What stands in a slot: a release's files, the workers that run it, and their registration. Its methods are the steps that the slot
 * decides on; each can be entered again where it was left, and moves the slot's state as it goes.
 */
export class Occupant extends EventEmitter<{ change: [] }> {
  pool: Pool | null = null;
  progress: Progress | null = null;
  lastEnd: WorkerEnd | null = null;
  /** The drain has come to its end, and nothing was taken back since. */
  drained = false;
  /** The release that was made ready last. */
  private staged: InstalledRelease | null = null;
  private recording = false;

  constructor(
    private readonly parts: SlotParts,
    private readonly machine: Machine,
  ) {
    super();
    machine.on("change", () => this.register());
  }

  get resident(): Resident | null {
    return this.parts.record.current.resident;
  }

  get port(): number {
    return this.own.port;
  }

  get wantedWorkers(): number {
    return this.resident?.workers ?? this.own.workers;
  }

  /** Connections on the slot's port; null where no socket is open. */
  countConnections(quietMs = 0): ConnectionCount | null {
    return this.pool && countConnections(tcpConnections(this.parts.config.bind, this.port), quietMs);
  }

  isStaged(release: Resident["release"]): boolean {
    return this.staged?.version === release.version && this.staged.sha256 === release.sha256;
  }

  /** Makes a release ready: beside what serves, or as the slot's own step where nothing does. */
  async fetch(release: Resident["release"], signal: AbortSignal): Promise<void> {
    const beside = this.pool !== null;
    if (!beside) this.machine.send("fetch");
    this.staged = await this.obtain(release, signal, () => {
      if (!beside) this.machine.send("unpack");
    });
  }

  /** Starts the workers of a release, or goes on waiting for them, until enough are ready. A failure leaves none of them. */
  async start(release: Resident["release"], workers: number | undefined, signal: AbortSignal): Promise<void> {
    const { record, config } = this.parts;
    if (this.resident?.release.version !== release.version) {
      const resident = { release, epoch: record.current.epoch, proven: false, ...(workers && { workers }) };
      record.update({ resident });
    }
    const installed = await this.obtain(release, signal, () => {});
    this.machine.send("start");
    try {
      this.pool ??= this.openPool(installed, Listener.open(config.bind, this.port));
      await this.pool.start();
      await untilReady(this.pool, config.readiness, signal, (done, total) =>
        this.setProgress({ step: "starting", version: release.version, done, total, unit: "workers" }),
      );
    } catch (error) {
      if (!(error instanceof Superseded)) await this.endPool();
      throw error;
    }
    record.update({ resident: { ...(this.resident as Resident), proven: true } });
    this.machine.send("ready");
  }

  /** Replaces the workers one by one. */
  async roll(signal: AbortSignal): Promise<void> {
    await this.pool?.roll(signal, (done, total) =>
      this.setProgress({ step: "restarting", done, total, unit: "workers", ...this.versionFact() }),
    );
    this.parts.emit({ kind: "worker", message: "all workers were restarted", ...this.versionFact() });
  }

  /** Withdraws, and waits until nobody uses the version. The workers run on. */
  async drain({ timeoutMs, withdrawTimeoutMs, forced }: DrainBounds, signal: AbortSignal): Promise<void> {
    const { config, registrar, record, emit } = this.parts;
    const version = this.resident?.release.version ?? "";
    this.drained = false;
    this.machine.send("drain");
    const lastDrain = await drain({
      version,
      forced,
      signal,
      timeoutMs,
      pauseMs: config.drain.pause_ms,
      ...(withdrawTimeoutMs !== undefined && { withdrawTimeoutMs }),
      withdraw: (bounded) => registrar.stored(bounded),
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
    emit({ kind: "drain", message: `${version} was drained (${lastDrain.idle})`, version, facts: { ...lastDrain } });
  }

  /** Registers again, with the same processes. */
  undrain(): void {
    this.drained = false;
    this.machine.send("undrain");
  }

  /** Ends every process of the slot, and frees its port. */
  async stop(): Promise<void> {
    this.machine.send("stop");
    await this.endPool();
  }

  /** Deletes the release's files, unless another slot or the next order needs them. */
  async remove(needed: boolean): Promise<void> {
    const { record, releases, usedElsewhere, emit } = this.parts;
    const version = this.resident?.release.version;
    this.machine.send("remove");
    if (version !== undefined && !needed && !usedElsewhere(version)) {
      await releases.remove(version);
      emit({ kind: "release", message: `release ${version} was removed`, version });
    }
    record.update({ resident: null });
  }

  /** Takes up what a new order for the same release says beside it. */
  async adjust(order: Order & { action: "install" }): Promise<void> {
    const { workers: _, ...resident } = this.resident as Resident;
    this.parts.record.update({
      resident: { ...resident, epoch: order.epoch, ...(order.workers && { workers: order.workers }) },
    });
    if (this.pool && this.pool.wanted !== this.wantedWorkers) await this.pool.resize(this.wantedWorkers);
    this.register();
  }

  /** Lets go of the workers, which live on. */
  abandon(): void {
    this.pool?.abandon();
    this.pool = null;
  }

  /** Takes over the workers that an earlier agent left, and ends what else it left of the slot. */
  async takeOver(): Promise<void> {
    const { token, config, log, record, journalLost } = this.parts;
    if (journalLost) await this.recallResident();
    const { resident } = this;
    const { stopping, workers } = record.current;
    const left = findLeft(
      token,
      stopping ? null : (resident?.release.version ?? null),
      { bind: config.bind, port: this.port },
      workers,
    );
    if (left.strays.length > 0) {
      log.warn({ pids: left.strays.map(({ pid }) => pid) }, "processes of an earlier agent are being ended");
      const tree = { slot: this.parts.name, token, leaders: [], only: left.strays };
      await endTree({ ...tree, signal: config.app.stop_signal as NodeJS.Signals }, config.app.stop_grace_ms);
    }
    if (!resident || !left.listener) return;
    const { version, sha256 } = resident.release;
    const installed = (await this.parts.releases.find(version)) ?? { version, sha256, tree: "/nonexistent" };
    this.pool = this.openPool(installed, left.listener);
    this.pool.adopt(left.workers);
    this.machine.send(resident.proven ? "adopt" : "start");
    const message = `${left.workers.length} workers of an earlier agent were taken over`;
    this.parts.emit({ kind: "worker", message, version });
    await this.pool.start();
  }

  setProgress(progress: Progress | null): void {
    this.progress = progress;
    this.emit("change");
  }

  versionFact(): { version?: string } {
    const version = this.resident?.release.version;
    return version === undefined ? {} : { version };
  }

  /** Without a journal, the workers themselves tell which release they are. */
  private async recallResident(): Promise<void> {
    const { token, releases, record } = this.parts;
    const version = versionInUse(token);
    const release = version && (await releases.describe(version));
    if (release) record.update({ resident: { release, epoch: 0, proven: true } });
  }

  /** The release, installed: the one that is there, or fetched and unpacked. */
  private async obtain(
    release: Resident["release"],
    signal: AbortSignal,
    onUnpack: () => void,
  ): Promise<InstalledRelease> {
    const { releases, emit } = this.parts;
    const { version, sha256 } = release;
    const there = await releases.find(version);
    if (there?.sha256 === sha256) return there;
    const show = (step: string, unit: Progress["unit"]) => (how: { done: number; total: number }) =>
      this.setProgress({ step, version, unit, ...how });
    const fetched = await releases.fetch(release, { signal, onProgress: show("fetching", "bytes") });
    onUnpack();
    const installed = await releases.unpack(fetched, { signal, onProgress: show("unpacking", "entries") });
    emit({ kind: "release", message: `release ${version} was installed`, version, facts: { sha256 } });
    return installed;
  }

  /** Between the two journal writes a crash leaves processes that are to be ended, not taken over. */
  private async endPool(): Promise<void> {
    if (!this.pool) return;
    this.parts.record.update({ stopping: true });
    await this.pool.stop();
    this.pool = null;
    this.drained = false;
    this.parts.record.update({ stopping: false, workers: [] });
    this.register();
  }

  private openPool(installed: InstalledRelease, listener: Listener): Pool {
    const { name: slot, config, token, logDirectory, log, emit } = this.parts;
    const { service, app } = config;
    const { version, tree } = installed;
    const spec = { service, slot, version, tree, port: this.port, token, app, logDirectory };
    const pool = new Pool(spec, listener, this.wantedWorkers, config.bind, config.health, log);
    pool.on("change", () => {
      this.register();
      this.emit("change");
    });
    pool.on("started", () => this.recordSoon());
    pool.on("ended", (end) => {
      this.lastEnd = end;
      if (end.reason === "stopped" || end.reason === "killed") return;
      emit({
        kind: "worker",
        message: `worker ${end.worker} ended by itself`,
        version: end.version,
        facts: { ...end },
      });
    });
    return pool;
  }

  private register(): void {
    this.parts.registrar.update(this.machine.state, this.resident, this.pool);
  }

  /** Writes down who the workers are, once for all that start together. Until then they are known by their token. */
  private recordSoon(): void {
    if (this.recording) return;
    this.recording = true;
    setImmediate(() => {
      this.recording = false;
      const workers = this.pool?.workers ?? [];
      try {
        this.parts.record.update({
          workers: workers.map(({ number, identity, startedAt }) => ({ number, identity, startedAt })),
        });
      } catch (error) {
        this.parts.log.error({ err: error }, "workers could not be journalled");
      }
    });
  }

  private get own(): { port: number; workers: number } {
    return this.parts.config.slots[this.parts.name] as { port: number; workers: number };
  }
}
