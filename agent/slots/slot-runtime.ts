import { EventEmitter } from "node:events";
import type { Progress, WorkerEnd } from "../../protocol/host-status.ts";
import type { Order } from "../../protocol/order.ts";
import type { RunConfig } from "../config/release-config.ts";
import { drain, NO_CONNECTIONS } from "../drain/drain.ts";
import { withCut } from "../drain/with-cut.ts";
import type { Resident } from "../journal/schema.ts";
import type { InstalledRelease } from "../releases/store/store.ts";
import type { ExtendedGrace } from "../workers/end/end-all.ts";
import type { Pool } from "../workers/pool.ts";
import type { Worker } from "../workers/process/worker.ts";
import type { SlotDependencies } from "./dependencies.ts";
import { versionInUse } from "./find-leftovers.ts";
import type { Machine } from "./machine.ts";
import { openPool } from "./open-pool.ts";
import { ReleasePreparer } from "./release-preparer.ts";
import { type SlotAddress, SlotSocket } from "./slot-socket.ts";
import { takeOverWorkers } from "./take-over.ts";
import { untilReady } from "./until-ready.ts";
import { WorkerRecord } from "./worker-record.ts";

export interface DrainBounds {
  timeoutMs: number;
  withdrawTimeoutMs?: number;
  forced?: string | undefined;
}

interface SlotRuntimeEvents {
  change: [];
  /** Its workers keep ending. */
  looping: [pool: Pool, ends: number];
}

/** The reason of a step that was interrupted because something else is wanted now. */
export class Superseded extends Error {
  constructor() {
    super("something else is wanted now");
  }
}

/** What an install order may set besides the release. */
type OrderedSettings = Pick<Resident, "workers" | "role">;

function orderedSettings({ workers, role }: OrderedSettings): OrderedSettings {
  return { ...(workers !== undefined && { workers }), ...(role !== undefined && { role }) };
}

/**
 * What a slot holds: a release's files, the workers that run it, and their registration. Its methods are the steps that
 * the slot decides on. Each step can be repeated from wherever it was interrupted, and moves the slot's state as it
 * proceeds.
 */
export class SlotRuntime extends EventEmitter<SlotRuntimeEvents> {
  pool: Pool | null = null;
  progress: Progress | null = null;
  lastEnd: WorkerEnd | null = null;
  /** The drain has ended, and was not cancelled since. */
  drained = false;
  private readonly preparer: ReleasePreparer;
  private readonly workerRecord: WorkerRecord;
  private readonly address: SlotAddress;
  /** The open socket of `pool`. */
  private socket: SlotSocket | null = null;
  /** A socket that the service manager kept while no worker had it; the next workers get it. */
  private spare: SlotSocket | null = null;
  /** Until when upgraded connections may live on, monotonic; null where the workers were not drained. */
  private patientUntilMs: number | null = null;

  constructor(
    private readonly deps: SlotDependencies,
    private readonly machine: Machine,
  ) {
    super();
    const { name: slot, config, manager, log } = deps;
    this.address = { slot, bind: config.bind, port: this.port, manager, log };
    this.workerRecord = new WorkerRecord(deps.record, log);
    this.preparer = new ReleasePreparer(deps, (progress) => this.setProgress(progress));
    machine.on("change", () => this.register());
  }

  get resident(): Resident | null {
    return this.deps.record.current.resident;
  }

  /** Its workers take requests, whether registered or being drained. */
  get serves(): boolean {
    return this.machine.state === "serving" || this.machine.state === "draining";
  }

  get port(): number {
    return this.own.port;
  }

  get wantedWorkers(): number {
    return this.resident?.workers ?? this.own.workers;
  }

  /** How this agent came by the slot's socket; "none" if it has none open. */
  get socketOrigin(): SlotSocket["origin"] | "none" {
    return (this.pool && this.socket?.origin) ?? "none";
  }

  isStaged(release: Resident["release"]): boolean {
    return this.preparer.isReady(release);
  }

  /** Prepares a release: while another one serves, or as the slot's own step if none does. */
  async fetch(release: Resident["release"], signal: AbortSignal): Promise<void> {
    // What would keep the workers from starting has to be found out before anything is removed.
    await this.deps.account.get();
    this.deps.secrets.readValues();
    const beside = this.pool !== null;
    if (!beside) this.machine.send("fetch");
    await this.preparer.prepare(release, this.resident?.release.version, signal, () => {
      if (!beside) this.machine.send("unpack");
    });
  }

  /** Starts the workers of a release, or keeps waiting for them, until enough are ready. A failure ends them all. */
  async start(release: Resident["release"], asked: OrderedSettings, signal: AbortSignal): Promise<void> {
    const { record } = this.deps;
    if (this.resident?.release.version !== release.version)
      record.update({
        resident: { release, epoch: record.current.epoch, proven: false, ...orderedSettings(asked) },
        leaving: false,
      });
    if (record.current.stopping) record.update({ stopping: false, workers: [] });
    const installed = await this.preparer.obtain(release, signal);
    const run = await this.preparer.configure(installed);
    this.machine.send("start");
    try {
      this.pool ??= this.openPool(run, installed, this.spare ?? SlotSocket.open(this.address));
      this.spare = null;
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

  /** Withdraws, and waits until nobody uses the version. The workers keep running. */
  async drain({ timeoutMs, withdrawTimeoutMs, forced }: DrainBounds, signal: AbortSignal): Promise<void> {
    const { config, registration, emit } = this.deps;
    const version = this.resident?.release.version ?? "";
    this.drained = false;
    this.machine.send("drain");
    this.patientUntilMs = null;
    const { record: lastDrain, patientUntilMs } = await drain({
      version,
      forced,
      signal,
      timeoutMs,
      untilClosed: config.drain.until === "closed",
      edges: this.deps.edges,
      edgesTimeoutMs: config.drain.edges_timeout_ms,
      pauseMs: config.drain.pause_ms,
      ...(withdrawTimeoutMs !== undefined && { withdrawTimeoutMs }),
      withdraw: (bounded) => registration.stored(bounded),
      look: async () => (await this.pool?.lookAtConnections()) ?? NO_CONNECTIONS,
      onProgress: ({ waitingFor, done, total }) => {
        const unit = waitingFor === "edges" ? "edges" : "connections";
        this.setProgress({ step: `waiting for ${waitingFor}`, version, done, total, unit });
      },
    });
    this.drained = true;
    this.patientUntilMs = patientUntilMs;
    this.workerRecord.note({ lastDrain });
    emit({ kind: "drain", message: `${version} was drained (${lastDrain.idle})`, version, facts: { ...lastDrain } });
  }

  /** Registers again, with the same processes. */
  undrain(): void {
    this.drained = false;
    this.machine.send("undrain");
  }

  /** An order takes the version away. From now on not even a crash or the order's failure brings it back. */
  noteLeaving(): void {
    if (!this.deps.record.current.leaving) this.workerRecord.note({ leaving: true });
  }

  /** Ends every process of the slot, and frees its port. @param hurry upgraded connections are not waited for */
  async stop(hurry: AbortSignal): Promise<void> {
    this.machine.send("stop");
    const version = this.resident?.release.version ?? "";
    const untilMs = this.patientUntilMs;
    if (untilMs === null) return this.endPool();
    let most = 0;
    const onWaiting = (open: number) => {
      most = Math.max(most, open);
      const step = "waiting for upgraded connections";
      this.setProgress({ step, version, done: most - open, total: most, unit: "connections" });
    };
    await this.endPool({ untilMs, hurry, onWaiting });
  }

  /** Ends every process of the slot, and leaves the slot failed. */
  async fail(): Promise<void> {
    if (this.machine.state !== "failed") this.machine.send("fail");
    await this.endPool();
  }

  /** Removes the release from the slot. Clean-up deletes its files once nobody needs them. */
  async remove(): Promise<void> {
    this.machine.send("remove");
    this.spare?.free();
    this.spare = null;
    this.deps.record.update({ resident: null, leaving: false });
    await this.deps.tidy();
  }

  /** Forgets a release that was prepared for a superseded order, and tidies up the host's releases. */
  async settle(): Promise<void> {
    this.preparer.forget(this.resident?.release.version);
    await this.deps.tidy();
  }

  /** Applies what a new order for the same release sets besides it. */
  async adjust(order: Order & { action: "install" }): Promise<void> {
    const { release, proven } = this.resident as Resident;
    this.deps.record.update({ resident: { release, proven, epoch: order.epoch, ...orderedSettings(order) } });
    if (this.pool && this.pool.wanted !== this.wantedWorkers) await this.pool.resize(this.wantedWorkers);
    this.register();
  }

  /** Stops watching the workers, which keep running. */
  abandon(): void {
    this.pool?.abandon();
    this.pool = null;
  }

  /** Takes over the workers that an earlier agent left, and ends what else it left of the slot. */
  async takeOver(): Promise<void> {
    const { record, journalLost } = this.deps;
    if (journalLost) await this.recallResident();
    const { resident } = this;
    const { stopping } = record.current;
    const version = stopping ? null : (resident?.release.version ?? null);
    const { workers, socket, spare } = await takeOverWorkers(this.deps, this.address, version);
    // The stop that a crash interrupted is complete.
    if (stopping) this.workerRecord.noteStopped();
    if (!resident || !socket) {
      // The next workers of the slot get the spare socket, with the connections in its queue. An empty slot has no next
      // workers.
      if (resident) this.spare = spare;
      else spare?.free();
      return;
    }
    spare?.abandon();
    await this.adoptWorkers(resident, workers, socket);
  }

  private async adoptWorkers({ release, proven }: Resident, workers: Worker[], socket: SlotSocket): Promise<void> {
    const { version, sha256 } = release;
    const absent = { version, sha256, tree: "/nonexistent", treeDigest: null };
    const installed = (await this.deps.releases.find(version)) ?? absent;
    this.pool = this.openPool(await this.preparer.configureRunning(installed), installed, socket);
    this.pool.adopt(workers);
    this.machine.send(proven ? "adopt" : "start");
    this.deps.emit({ kind: "worker", message: `took over ${workers.length} workers of an earlier agent`, version });
    await this.pool.start();
  }

  /** Declares the slot empty. */
  clear(): void {
    this.machine.send("clear");
  }

  setProgress(progress: Progress | null): void {
    this.progress = progress;
    this.emit("change");
  }

  versionFact(): { version?: string } {
    const version = this.resident?.release.version;
    return version === undefined ? {} : { version };
  }

  /** Without a journal, the workers' environments say which release they run. */
  private async recallResident(): Promise<void> {
    const { token, releases, record } = this.deps;
    const version = versionInUse(token);
    const release = version && (await releases.describe(version));
    if (release) record.update({ resident: { release, epoch: 0, proven: true } });
  }

  private async endPool(patience?: ExtendedGrace): Promise<void> {
    if (!this.pool) return;
    this.workerRecord.noteStopping();
    const cut = await this.pool.stop(patience);
    if (this.drained) this.noteCut(cut);
    this.pool = null;
    this.drained = false;
    this.patientUntilMs = null;
    this.workerRecord.noteStopped();
    this.register();
  }

  /** Completes the drain's record with the connections that were cut when the workers ended. */
  private noteCut(connections: number): void {
    const { lastDrain } = this.deps.record.current;
    const completed = lastDrain && withCut(lastDrain, connections);
    if (!completed) return;
    const { version, cutUpgraded = 0 } = completed;
    this.workerRecord.note({ lastDrain: completed });
    const message = `${cutUpgraded} upgraded connection${cutUpgraded === 1 ? " was" : "s were"} cut`;
    this.deps.emit({ kind: "drain", message: `${version}: ${message}`, version, facts: { cutUpgraded } });
  }

  private openPool(run: RunConfig, installed: InstalledRelease, socket: SlotSocket): Pool {
    const pool = openPool(this.deps, run, installed, socket, this.wantedWorkers);
    this.socket = socket;
    socket.store();
    pool.on("change", () => {
      this.register();
      this.emit("change");
    });
    pool.on("started", () => this.workerRecord.writeSoon(() => this.pool?.workers ?? []));
    pool.on("ended", (end) => {
      this.lastEnd = end;
    });
    pool.on("looping", (ends) => this.emit("looping", pool, ends));
    return pool;
  }

  private register(): void {
    this.deps.registration.update(this.machine.state, this.resident, this.pool);
  }

  private get own(): { port: number; workers: number } {
    return this.deps.config.slots[this.deps.name] as { port: number; workers: number };
  }
}
