import { EventEmitter } from "node:events";
import type { Progress, WorkerEnd } from "../../protocol/host-status.ts";
import type { Order } from "../../protocol/order.ts";
import { notifyDirectory } from "../config/notify-paths.ts";
import type { RunConfig } from "../config/release-config.ts";
import { drain } from "../drain/drain.ts";
import type { ConnectionCount } from "../drain/in-flight.ts";
import type { Resident, SlotJournal } from "../journal/schema.ts";
import { Listener } from "../os/listener.ts";
import { environment } from "../os/process.ts";
import type { InstalledRelease } from "../releases/store/store.ts";
import { endTree } from "../workers/end/end-tree.ts";
import type { Pool } from "../workers/pool.ts";
import { sweepNotifyFiles } from "../workers/watch/worker-notify.ts";
import { type SlotDependencies, storeName } from "./dependencies.ts";
import { findLeftovers, versionInUse } from "./find-leftovers.ts";
import type { Machine } from "./machine.ts";
import { openPool } from "./open-pool.ts";
import { ReleasePreparer } from "./release-preparer.ts";
import { Superseded } from "./superseded.ts";
import { untilReady } from "./until-ready.ts";

export interface DrainBounds {
  timeoutMs: number;
  withdrawTimeoutMs?: number;
  forced?: string | undefined;
}

interface SlotRuntimeEvents {
  change: [];
  /** Its workers end again and again. */
  looping: [pool: Pool, ends: number];
}

/** What an order may say beside the release. */
type OrderedSettings = Pick<Resident, "workers" | "role">;

function orderedSettings({ workers, role }: OrderedSettings): OrderedSettings {
  return { ...(workers !== undefined && { workers }), ...(role !== undefined && { role }) };
}

/**
 * What stands in a slot: a release's files, the workers that run it, and their registration. Its methods are the steps that the slot
 * decides on; each can be entered again where it was left, and moves the slot's state as it goes.
 */
export class SlotRuntime extends EventEmitter<SlotRuntimeEvents> {
  pool: Pool | null = null;
  progress: Progress | null = null;
  lastEnd: WorkerEnd | null = null;
  /** The drain has come to its end, and nothing was taken back since. */
  drained = false;
  private readonly preparer: ReleasePreparer;
  private recording = false;
  /** The slot's socket, kept by the service manager while no worker had it. */
  private kept: Listener | null = null;

  constructor(
    private readonly deps: SlotDependencies,
    private readonly machine: Machine,
  ) {
    super();
    this.preparer = new ReleasePreparer(deps, (progress) => this.setProgress(progress));
    machine.on("change", () => this.register());
  }

  get resident(): Resident | null {
    return this.deps.record.current.resident;
  }

  /** Its workers take requests, registered or on their way out. */
  get serves(): boolean {
    return this.machine.state === "serving" || this.machine.state === "draining";
  }

  get port(): number {
    return this.own.port;
  }

  get wantedWorkers(): number {
    return this.resident?.workers ?? this.own.workers;
  }

  /** Connections on the slot's port; null where no socket is open. */
  countConnections(quietMs = 0): ConnectionCount | null {
    return this.pool?.countConnections(quietMs) ?? null;
  }

  isStaged(release: Resident["release"]): boolean {
    return this.preparer.isReady(release);
  }

  /** Makes a release ready: beside what serves, or as the slot's own step where nothing does. */
  async fetch(release: Resident["release"], signal: AbortSignal): Promise<void> {
    // What would keep the workers from starting is found out before anything is taken away.
    await this.deps.account.get();
    this.deps.secrets.readValues();
    const beside = this.pool !== null;
    if (!beside) this.machine.send("fetch");
    await this.preparer.prepare(release, this.resident?.release.version, signal, () => {
      if (!beside) this.machine.send("unpack");
    });
  }

  /** Starts the workers of a release, or goes on waiting for them, until enough are ready. A failure leaves none of them. */
  async start(release: Resident["release"], asked: OrderedSettings, signal: AbortSignal): Promise<void> {
    const { record, config } = this.deps;
    if (this.resident?.release.version !== release.version)
      record.update({ resident: { release, epoch: record.current.epoch, proven: false, ...orderedSettings(asked) } });
    if (record.current.stopping) record.update({ stopping: false, workers: [] });
    const installed = await this.preparer.obtain(release, signal);
    const run = await this.preparer.configure(installed);
    this.machine.send("start");
    try {
      this.pool ??= this.openPool(run, installed, this.kept ?? Listener.open(config.bind, this.port));
      this.kept = null;
      await this.pool.start();
      await untilReady(this.pool, run.readiness, signal, (done, total) =>
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
    const onProgress = (done: number, total: number) =>
      this.setProgress({ step: "restarting", done, total, unit: "workers", ...this.versionFact() });
    await this.pool?.roll(signal, onProgress);
    this.deps.emit({ kind: "worker", message: "all workers were restarted", ...this.versionFact() });
  }

  /** Withdraws, and waits until nobody uses the version. The workers run on. */
  async drain({ timeoutMs, withdrawTimeoutMs, forced }: DrainBounds, signal: AbortSignal): Promise<void> {
    const { config, registration: registrar, emit } = this.deps;
    const version = this.resident?.release.version ?? "";
    this.drained = false;
    this.machine.send("drain");
    const lastDrain = await drain({
      version,
      forced,
      signal,
      timeoutMs,
      edges: this.deps.edges,
      edgesTimeoutMs: config.drain.edges_timeout_ms,
      pauseMs: config.drain.pause_ms,
      ...(withdrawTimeoutMs !== undefined && { withdrawTimeoutMs }),
      withdraw: (bounded) => registrar.stored(bounded),
      count: () => this.countConnections(config.drain.quiet_ms) ?? { open: 0, inFlight: 0 },
      onProgress: ({ waitingFor, done, total }) => {
        const unit = waitingFor === "edges" ? "edges" : "connections";
        this.setProgress({ step: `waiting for ${waitingFor}`, version, done, total, unit });
      },
    });
    this.drained = true;
    this.note({ lastDrain });
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

  /** Ends every process of the slot, and leaves it so. */
  async fail(): Promise<void> {
    if (this.machine.state !== "failed") this.machine.send("fail");
    await this.endPool();
  }

  /** Gives the release up. Its files go with those that are too many, if nobody else needs them. */
  async remove(): Promise<void> {
    this.machine.send("remove");
    this.deps.record.update({ resident: null });
    await this.deps.tidy();
  }

  /** Forgets what was made ready for an order which another one superseded, and has the host's releases looked after. */
  async settle(): Promise<void> {
    this.preparer.forget(this.resident?.release.version);
    await this.deps.tidy();
  }

  /** Takes up what a new order for the same release says beside it. */
  async adjust(order: Order & { action: "install" }): Promise<void> {
    const { release, proven } = this.resident as Resident;
    this.deps.record.update({ resident: { release, proven, epoch: order.epoch, ...orderedSettings(order) } });
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
    const { token, config, log, record, journalLost } = this.deps;
    if (journalLost) await this.recallResident();
    const { resident } = this;
    const { stopping, workers } = record.current;
    const stored = this.takeStored();
    const left = findLeftovers(
      token,
      stopping ? null : (resident?.release.version ?? null),
      { bind: config.bind, port: this.port },
      workers,
      stored,
    );
    if (left.strays.length > 0) {
      log.warn({ pids: left.strays.map(({ pid }) => pid) }, "processes of an earlier agent are being ended");
      const tree = { slot: this.deps.name, token, leaders: [], cgroup: null, only: left.strays };
      await endTree({ ...tree, signal: config.app.stop_signal as NodeJS.Signals }, config.app.stop_grace_ms);
    }
    sweepNotifyFiles(
      notifyDirectory(config),
      this.deps.name,
      left.workers.map(({ pid }) => environment(pid) ?? new Map()),
    );
    // The stop that a crash interrupted has come to its end: whatever is started now is to be taken over again.
    if (stopping) this.note({ stopping: false, workers: [] });
    if (!resident || !left.listener) {
      // Nobody holds the socket but its queue may hold connections: the next workers get it.
      if (resident && stored) this.kept = stored;
      else stored?.close();
      return;
    }
    if (stored !== left.listener) stored?.close();
    const { version, sha256 } = resident.release;
    const installed = (await this.deps.releases.find(version)) ?? {
      version,
      sha256,
      tree: "/nonexistent",
      treeDigest: null,
    };
    this.pool = this.openPool(await this.configured(installed), installed, left.listener);
    this.pool.adopt(left.workers);
    this.machine.send(resident.proven ? "adopt" : "start");
    const message = `${left.workers.length} workers of an earlier agent were taken over`;
    this.deps.emit({ kind: "worker", message, version });
    await this.pool.start();
  }

  /** The slot's socket, as the service manager kept it; null where it did not, or keeps another one. */
  private takeStored(): Listener | null {
    const { manager, config, log } = this.deps;
    const listeners = manager.takeInherited(this.storeName).map((fd) => Listener.fromStore(fd, config.bind, this.port));
    const [own = null, ...more] = listeners.filter((listener) => listener !== null);
    if (listeners.length === (own ? 1 : 0)) return own;
    for (const listener of more) listener.close();
    // By name: all of them. The slot's own one is kept again as soon as it has workers.
    manager.forget(this.storeName);
    log.warn({ port: this.port }, "the service manager kept a socket that is not this slot's; it was let go");
    return own;
  }

  private get storeName(): string {
    return storeName(this.deps.name);
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
    const { token, releases, record } = this.deps;
    const version = versionInUse(token);
    const release = version && (await releases.describe(version));
    if (release) record.update({ resident: { release, epoch: 0, proven: true } });
  }

  /** Between the two journal writes a crash leaves processes that are to be ended, not taken over. */
  private async endPool(): Promise<void> {
    if (!this.pool) return;
    this.note({ stopping: true });
    // The port is free only when nobody keeps the socket.
    this.deps.manager.forget(this.storeName);
    await this.pool.stop();
    this.pool = null;
    this.drained = false;
    this.note({ stopping: false, workers: [] });
    this.register();
  }

  private note(change: Partial<SlotJournal>): void {
    this.deps.record.note(change, (err) => this.deps.log.error({ err }, "journal could not be written; going on"));
  }

  /** How workers that run already are gone on with: what they were started with may not be permitted any more, or not be there. */
  private async configured(installed: InstalledRelease): Promise<RunConfig> {
    try {
      return await this.preparer.configure(installed);
    } catch (err) {
      this.deps.log.warn(
        { err },
        "release's own configuration can't be used; its workers are gone on with as the host's says",
      );
      const { config } = this.deps;
      return {
        ...config,
        app: { ...config.app, command: config.app.command ?? ["(left to the release: see [releases] may_set)"] },
      };
    }
  }

  private openPool(run: RunConfig, installed: InstalledRelease, listener: Listener): Pool {
    const pool = openPool(this.deps, run, installed, listener, this.wantedWorkers);
    this.deps.manager.store(this.storeName, listener.fd);
    pool.on("change", () => {
      this.register();
      this.emit("change");
    });
    pool.on("started", () => this.recordSoon());
    pool.on("ended", (end) => {
      this.lastEnd = end;
    });
    pool.on("looping", (ends) => this.emit("looping", pool, ends));
    return pool;
  }

  private register(): void {
    this.deps.registration.update(this.machine.state, this.resident, this.pool);
  }

  /** Writes down who the workers are, once for all that start together. Until then they are known by their token. */
  private recordSoon(): void {
    if (this.recording) return;
    this.recording = true;
    setImmediate(() => {
      this.recording = false;
      const workers = this.pool?.workers ?? [];
      this.note({ workers: workers.map(({ number, identity, startedAt }) => ({ number, identity, startedAt })) });
    });
  }

  private get own(): { port: number; workers: number } {
    return this.deps.config.slots[this.deps.name] as { port: number; workers: number };
  }
}
