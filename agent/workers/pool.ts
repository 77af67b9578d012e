import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import { abortable } from "../../daemon/abortable.ts";
import { NotReadyError } from "../../protocol/errors.ts";
import type { WorkerEnd } from "../../protocol/host-status.ts";
import type { ConnectionsSeen } from "../drain/drain.ts";
import type { ConnectionCount } from "../drain/in-flight.ts";
import { lastWords } from "../output/last-words.ts";
import type { OutputStart } from "../output/worker-output.ts";
import { type ExtendedGrace, endAll } from "./end/end-all.ts";
import { OrphanReaper } from "./end/orphan-reaper.ts";
import type { Front } from "./front.ts";
import { PoolWatch } from "./pool-watch.ts";
import { type WorkerSpec, writer } from "./process/spec.ts";
import { type StopReason, Worker } from "./process/worker.ts";
import { type Replaceable, Replacer } from "./replacer.ts";
import { Restarter } from "./restarter.ts";
import { CrashLoop } from "./watch/crash-loop.ts";
import type { HealthProbe } from "./watch/health.ts";
import { type WorkerIndex, WorkerIndexes } from "./worker-index.ts";

/** A worker that ran this long is not in a restart loop. */
const SETTLED_MS = 60_000;
const KEPT_ENDS = 100;
/** Ends that were asked for, and say nothing against the worker. */
const EXPECTED: readonly WorkerEnd["reason"][] = ["stopped", "killed", "recycled"];

interface PoolEvents {
  /** The number of living or ready workers may have changed. */
  change: [];
  /** A worker was started or got an index, so that the list of identities changed. */
  started: [worker: Worker];
  ended: [end: WorkerEnd];
  /** A worker was replaced by the rules of [recycle]. */
  recycled: [worker: Worker, why: string];
  /** The workers keep ending: see `[crash_loop]`. */
  looping: [ends: number];
}

/**
 * The workers of one slot behind their front. It keeps as many of them alive as are wanted until it is stopped, and
 * knows which of them are ready: alive, seen to accept, and the slot's probe is good.
 */
export class Pool extends EventEmitter<PoolEvents> {
  readonly ends: WorkerEnd[] = [];
  /** Where the output of the workers that ended begins. */
  private readonly outputStarts = new WeakMap<WorkerEnd, OutputStart | null>();
  private isStopping = false;
  /** The workers are the next agent's. */
  private isLeft = false;
  /** Nothing is started any more. */
  private readonly halted = new AbortController();
  private readonly indexes: WorkerIndexes;
  /** Every living worker: those with an index, replacements, and those that were told to end. */
  private readonly living = new Set<Worker>();
  private readonly reaper: OrphanReaper;
  private readonly watch: PoolWatch;
  private readonly restarter: Restarter;
  private readonly replacer: Replacer;
  private readonly crashLoop: CrashLoop;

  constructor(
    readonly spec: WorkerSpec,
    private readonly front: Front,
    wanted: number,
    private readonly log: Logger,
  ) {
    super();
    const { app, crash_loop, readiness } = spec.config;
    this.indexes = new WorkerIndexes(wanted);
    this.crashLoop = new CrashLoop(crash_loop);
    this.reaper = new OrphanReaper(spec, this.living, log);
    const callbacks = {
      onIll: (worker: Worker, why: StopReason) => void this.retire(worker, why, "SIGABRT"),
      onWorn: (worker: Worker, why: string) => void this.recycle(worker, why),
      onChange: () => void this.emit("change"),
    };
    this.watch = new PoolWatch(spec, front, this.living, callbacks, log);
    this.restarter = new Restarter(this.indexes, app, (index) => this.startWorker(index), log);
    this.replacer = new Replacer(this.asReplaceable(), readiness.timeout_ms, log);
  }

  get health(): HealthProbe {
    return this.watch.health;
  }

  get wanted(): number {
    return this.indexes.wantedCount;
  }

  get workers(): Worker[] {
    return this.indexes.workers;
  }

  get alive(): number {
    return this.workers.length;
  }

  get ready(): number {
    return this.health.healthy ? this.workers.filter((worker) => worker.ready).length : 0;
  }

  get restarts(): number {
    return this.indexes.restarts;
  }

  /** How many workers have ended at least this often in a row. */
  failing(ends: number): number {
    return this.indexes.failing(ends);
  }

  restartsOf(number: number): number {
    return this.indexes.restartsOf(number);
  }

  /** The slot's last probe, and what single workers still have to report. */
  describeReadiness(): string {
    return this.watch.describeReadiness();
  }

  /** Connections to the workers, as far as is known without waiting: see `ConnectionCounter`. */
  recentConnections(): ConnectionCount | null {
    return this.watch.connections.recent();
  }

  /** Looks at the connections to the workers now. */
  lookAtConnections(): Promise<ConnectionsSeen> {
    return this.watch.lookAtConnections();
  }

  /**
   * Takes over living workers of an earlier agent, each with the index that it had. Emits no change before `start`:
   * until then nobody knows what they serve, and a change would reach the serverset.
   */
  adopt(workers: readonly Worker[]): void {
    for (const worker of workers) {
      try {
        worker.resume(this.spec, () => this.emit("change"));
      } catch (err) {
        const facts = { err, worker: worker.number, pid: worker.pid };
        this.log.warn(facts, "worker was taken over without its own sockets or control group");
      }
      const index = this.indexes.at(worker.number);
      index.occupy(worker);
      this.admit(index, worker);
    }
  }

  /**
   * Brings the workers to the wanted number, and watches all of them from now on.
   * @throws CommandNotFoundError and the like if no worker runs; otherwise what could not be started is retried.
   */
  async start(): Promise<void> {
    this.watch.start();
    await this.resizeTo(this.wanted);
  }

  /** Changes how many workers are wanted. Those with the highest numbers end first. */
  async resize(wanted: number): Promise<void> {
    await this.resizeTo(wanted);
    this.emit("change");
  }

  /**
   * Replaces the workers one at a time.
   * @throws WorkersExitedError or NotReadyError if the next one does not come up; the old one keeps serving.
   */
  roll(signal: AbortSignal, onProgress: (done: number, total: number) => void): Promise<void> {
    return this.replacer.roll(signal, onProgress);
  }

  /**
   * Ends every process of the slot: stop signal, grace period, SIGKILL to the rest of the tree. Afterwards none of them
   * runs, and the port is free.
   * @param patience for connections that the workers keep open; without it they get the grace period only
   * @returns how many connections were cut by that SIGKILL
   * @throws StopFailedError naming what is left.
   */
  async stop(patience?: ExtendedGrace): Promise<number> {
    this.isStopping = true;
    this.halt();
    const onSignalled = () => {
      this.watch.observeWorkers();
      // From now on no new connection is accepted; those that were live on in the workers.
      this.front.free();
    };
    const kept = { look: () => this.watch.lookAtKept(), patience };
    const cut = await endAll(this.spec, this.living, this.reaper.stop(), onSignalled, kept);
    this.watch.stop();
    await this.front.untilFree();
    this.spec.cgroup?.remove();
    return cut;
  }

  /** Stops watching without touching a worker: the next agent adopts them. */
  abandon(): void {
    this.isLeft = true;
    this.halt();
    this.watch.stop();
    for (const worker of this.living) worker.abandon();
    this.front.abandon();
  }

  /** The last meaningful lines that a worker wrote before this end, for a message. */
  lastWords(end: WorkerEnd): Promise<string> {
    return this.wordsSince(end.worker, this.outputStarts.get(end) ?? null);
  }

  /** The same of a worker that runs. */
  wordsOf({ number, outputStart }: Worker): Promise<string> {
    return this.wordsSince(number, outputStart);
  }

  private async wordsSince(number: number, start: OutputStart | null): Promise<string> {
    const { output, secrets } = this.spec;
    return secrets.redact(await lastWords(output, writer(this.spec, number), start));
  }

  private get stopSignal(): NodeJS.Signals {
    return this.spec.config.app.stop_signal as NodeJS.Signals;
  }

  private asReplaceable(): Replaceable {
    return {
      indexes: this.indexes,
      isHealthy: () => this.health.healthy,
      isWhole: () => this.ready >= this.wanted,
      notReady: (timeoutMs) => new NotReadyError(0, 1, timeoutMs, this.describeReadiness()),
      addReplacement: (index) => this.addReplacement(index),
      promoted: (replacement) => this.emit("started", replacement),
      retire: (worker, why) => this.retire(worker, why),
      lastWords: (end) => this.lastWords(end),
      until: (done, signal) => this.until(done, signal),
    };
  }

  private async recycle(worker: Worker, why: string): Promise<void> {
    if (!(await this.replacer.recycle(worker, why))) return;
    this.log.info({ worker: worker.number, pid: worker.pid, why }, "worker was recycled");
    this.emit("recycled", worker, why);
  }

  /** Ends surplus workers, also adopted ones, and starts those that are missing. */
  private async resizeTo(wanted: number): Promise<void> {
    for (const { worker, replacement } of this.indexes.resize(wanted))
      for (const surplus of [worker, replacement]) if (surplus) void this.retire(surplus);
    await this.restarter.startMissing();
  }

  private async startWorker(index: WorkerIndex): Promise<void> {
    const worker = await this.spawn(index);
    index.occupy(worker);
    this.admit(index, worker);
  }

  private async addReplacement(index: WorkerIndex): Promise<Worker> {
    const replacement = await this.spawn(index);
    index.addReplacement(replacement);
    this.admit(index, replacement);
    return replacement;
  }

  private spawn({ number }: WorkerIndex): Promise<Worker> {
    const { descriptors } = this.front;
    const inheritance = { descriptors, variables: this.front.variables(number) };
    return Worker.spawn(this.spec, number, inheritance, () => this.emit("change"), this.halted.signal);
  }

  /** Ends one worker: stop signal, grace period, SIGKILL. */
  private async retire(worker: Worker, why: StopReason = "stopped", signal = this.stopSignal): Promise<void> {
    worker.signal(signal, why);
    this.watch.observeWorkers();
    this.emit("change");
    const kill = setTimeout(() => worker.signal("SIGKILL"), this.spec.config.app.stop_grace_ms);
    await worker.whenEnded();
    clearTimeout(kill);
  }

  /** Starts and replaces no worker any more. */
  private halt(): void {
    this.halted.abort();
    this.replacer.stop();
    this.restarter.stop();
    this.watch.stopProbe();
  }

  private admit(index: WorkerIndex, worker: Worker): void {
    const { number, pid, adopted } = worker;
    if (this.isLeft) {
      // It was being started when the pool was left: nobody watches it, and no journal names it.
      worker.signal(this.stopSignal);
      worker.abandon();
      return;
    }
    this.living.add(worker);
    void worker.whenEnded().then((end) => this.onEnded(index, worker, end));
    this.log.info({ worker: number, pid }, adopted ? "worker was taken over" : "worker was started");
    this.emit("started", worker);
    if (adopted) return;
    this.emit("change");
    // The pool was told to stop while this worker was being started.
    if (this.isStopping) worker.signal(this.stopSignal);
    this.watch.checkNow();
  }

  private onEnded(index: WorkerIndex, worker: Worker, end: WorkerEnd): void {
    this.living.delete(worker);
    this.ends.push(end);
    this.outputStarts.set(end, worker.outputStart);
    if (this.ends.length > KEPT_ENDS) this.ends.shift();
    const expected = EXPECTED.includes(end.reason);
    const output = this.spec.output.place(writer(this.spec, worker.number));
    this.log[expected ? "info" : "warn"]({ ...end, output }, "worker ended");
    this.emit("ended", end);
    if (index.worker === worker) {
      index.vacate(!expected && end.ranMs <= SETTLED_MS);
      if (!expected) this.checkCrashLoop(index);
      if (!index.worker) this.restarter.restart(index);
    }
    this.reaper.add(worker);
    this.emit("change");
  }

  private checkCrashLoop({ number }: WorkerIndex): void {
    const ends = this.crashLoop.count(number, this.indexes.wanted);
    if (ends !== null) this.emit("looping", ends);
  }

  private async until(done: () => boolean, signal: AbortSignal): Promise<void> {
    while (!done()) {
      await abortable(new Promise<void>((resolve) => this.once("change", () => resolve())), signal);
    }
  }
}
