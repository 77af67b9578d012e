import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import { abortable } from "../../daemon/abortable.ts";
import { backoffMs } from "../../daemon/backoff.ts";
import { NotReadyError } from "../../protocol/errors.ts";
import type { WorkerEnd } from "../../protocol/host-status.ts";
import { type ConnectionCount, countConnections } from "../drain/in-flight.ts";
import { socketInode } from "../os/accepting.ts";
import type { Listener } from "../os/listener.ts";
import { environment } from "../os/process.ts";
import { tcpConnections } from "../os/tcp-connections.ts";
import { lastWords } from "../output/last-words.ts";
import { endAll } from "./end/end-all.ts";
import { OrphanReaper } from "./end/orphan-reaper.ts";
import { untilPortFree } from "./end/port-free.ts";
import { type WorkerSpec, writer } from "./process/spec.ts";
import { type StopReason, Worker } from "./process/worker.ts";
import { Replacer } from "./replacer.ts";
import { AcceptWatcher } from "./watch/accept-watcher.ts";
import { CrashLoop } from "./watch/crash-loop.ts";
import { describeProbe, HealthProbe, probeAddress } from "./watch/health.ts";
import { WorkerMonitor } from "./watch/worker-monitor.ts";
import { WorkerNotify } from "./watch/worker-notify.ts";
import { type WorkerIndex, WorkerIndexes } from "./worker-index.ts";

/** A worker that ran this long is not in a restart loop. */
const SETTLED_MS = 60_000;
/** How an end is told that was asked for, and says nothing against the worker. */
const EXPECTED: readonly WorkerEnd["reason"][] = ["stopped", "killed", "recycled"];

interface PoolEvents {
  /** The number of living or ready workers may have changed. */
  change: [];
  /** A worker was started, or took a seat over, and with it the list of identities changed. */
  started: [worker: Worker];
  ended: [end: WorkerEnd];
  /** A worker was replaced by the rules of [recycle]. */
  recycled: [worker: Worker, why: string];
  /** The workers end again and again: see `[crash_loop]`. */
  looping: [ends: number];
}

/**
 * The workers of one slot and the socket that they share. It keeps as many of them alive as are wanted until it is stopped, and
 * knows which of them are ready: alive, seen to accept, and the slot's probe is good.
 */
export class Pool extends EventEmitter<PoolEvents> {
  readonly health: HealthProbe;
  readonly ends: WorkerEnd[] = [];
  /** Set once the workers are being ended, or let go of: none is started again. */
  private over: "no" | "stopped" | "abandoned" = "no";
  private readonly indexes = new WorkerIndexes();
  /** Every living worker: those in the seats, those that are to relieve one, and those that were told to leave. */
  private readonly living = new Set<Worker>();
  private readonly reaper: OrphanReaper;
  private readonly acceptWatcher: AcceptWatcher;
  private readonly monitor: WorkerMonitor;
  private readonly replacer: Replacer;
  private readonly crashLoop: CrashLoop;

  constructor(
    readonly spec: WorkerSpec,
    readonly listener: Listener,
    private wantedCount: number,
    private readonly log: Logger,
  ) {
    super();
    const { bind, health, crash_loop } = spec.config;
    this.crashLoop = new CrashLoop(crash_loop);
    this.reaper = new OrphanReaper(spec, this.living, log);
    const isHealthy = () => this.health.healthy;
    this.acceptWatcher = new AcceptWatcher(this.living, socketInode(listener.fd), isHealthy, () => this.emit("change"));
    this.monitor = new WorkerMonitor(this.living, spec.config, {
      onIll: (worker, why) => void this.retire(worker, why, "SIGABRT"),
      onWorn: (worker, why) => void this.recycle(worker, why),
      onChange: () => this.emit("change"),
    });
    this.health = new HealthProbe({ host: probeAddress(bind), port: spec.port }, health, (changed) => {
      if (!changed) return;
      log.info({ healthy: this.health.healthy, probe: this.health.last }, "health changed");
      // Who can't be seen to accept is known by the probe: the two are told in one go.
      this.acceptWatcher.look();
      this.emit("change");
    });
    this.replacer = new Replacer(
      {
        indexes: this.indexes,
        isHealthy,
        isWhole: () => this.ready >= this.wanted,
        notReady: (timeoutMs) => new NotReadyError(0, 1, timeoutMs, this.describeReadiness()),
        addReplacement: (seat) => this.addRelief(seat),
        promoted: (relief) => this.emit("started", relief),
        retire: (worker, why) => this.retire(worker, why),
        lastWords: (end) => this.lastWords(end),
        until: (done, signal) => this.until(done, signal),
      },
      spec.config.readiness.timeout_ms,
      log,
    );
  }

  get wanted(): number {
    return this.wantedCount;
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

  /** How many workers have ended at least so often in a row. */
  failing(ends: number): number {
    return this.indexes.failing(ends);
  }

  restartsOf(number: number): number {
    return this.indexes.restartsOf(number);
  }

  /** The slot's last probe, and what the workers do not show that they have to. */
  describeReadiness(): string {
    const lacking = [...this.living].flatMap(({ number, notify: signs }) =>
      signs?.lacks ? `worker ${number} ${signs.lacks}` : [],
    );
    return [describeProbe(this.health.last), ...lacking.slice(0, 3)].join("; ");
  }

  /** Connections on the slot's port, but for the agent's own probes. */
  countConnections(quietMs: number): ConnectionCount {
    const all = tcpConnections(this.spec.config.bind, this.spec.port).filter(
      ({ peer }) => !this.health.connections.has(peer),
    );
    return countConnections(all, quietMs);
  }

  /**
   * Takes over living workers of an earlier agent, each into the seat that it had. Nothing is said of it before `start`: until then
   * nobody knows what they serve, and what is said goes into the serverset.
   */
  adopt(workers: readonly Worker[]): void {
    for (const worker of workers) {
      this.resume(worker);
      this.sit(this.indexes.at(worker.number), worker);
    }
  }

  /**
   * Starts what is missing, and watches over all of it from now on.
   * @throws CommandNotFoundError and the like, where no worker runs; else what could not be started is tried again and again.
   */
  async start(): Promise<void> {
    this.acceptWatcher.look();
    this.monitor.checkWorkers();
    this.health.start();
    await this.settle();
  }

  /** Changes how many workers there are to be; the ones with the highest numbers leave first. */
  async resize(wanted: number): Promise<void> {
    this.wantedCount = wanted;
    await this.settle();
    this.emit("change");
  }

  /**
   * Replaces the workers one at a time.
   * @throws WorkersExitedError or NotReadyError where the next one does not come up; the old one serves on.
   */
  roll(signal: AbortSignal, onProgress: (done: number, total: number) => void): Promise<void> {
    return this.replacer.roll(signal, onProgress);
  }

  /**
   * Ends every process of the slot: the stop signal, a grace, SIGKILL to what is left of the tree. Then nothing of it runs and
   * the port is free.
   * @throws StopFailedError naming what is left.
   */
  async stop(): Promise<void> {
    this.halt("stopped");
    await endAll(this.spec, this.living, this.reaper.stop(), () => {
      this.acceptWatcher.look();
      // No new connection is taken from now on; those that were accepted live on in the workers.
      this.listener.close();
    });
    this.acceptWatcher.stop();
    this.monitor.stop();
    await untilPortFree(this.spec.slot, this.spec.config.bind, this.spec.port);
    this.spec.cgroup?.remove();
  }

  /** Lets go without touching a worker: another agent will adopt them. */
  abandon(): void {
    this.halt("abandoned");
    this.acceptWatcher.stop();
    this.monitor.stop();
    for (const worker of this.living) worker.abandon();
    this.listener.close();
  }

  /** A worker's last lines that say something, for a message. */
  async lastWords({ worker }: WorkerEnd): Promise<string> {
    return this.spec.secrets.redact(await lastWords(this.spec.output, writer(this.spec, worker)));
  }

  private get stopSignal(): NodeJS.Signals {
    return this.spec.config.app.stop_signal as NodeJS.Signals;
  }

  /** What a worker of an earlier agent has been given to show of itself. */
  private resume(worker: Worker): void {
    const { slot, config, cgroup, socketDirectory } = this.spec;
    const env = environment(worker.pid) ?? new Map<string, string>();
    try {
      worker.notify = WorkerNotify.resume(config, socketDirectory, `${slot}-${worker.number}`, env, () =>
        this.emit("change"),
      );
      worker.cgroup = cgroup?.placeOf(worker.identity, worker.number) ?? null;
    } catch (err) {
      this.log.warn({ err, worker: worker.number, pid: worker.pid }, "worker was taken over without all that it had");
    }
  }

  private async recycle(worker: Worker, why: string): Promise<void> {
    if (!(await this.replacer.recycle(worker, why))) return;
    this.log.info({ worker: worker.number, pid: worker.pid, why }, "worker was recycled");
    this.emit("recycled", worker, why);
  }

  private async addRelief(seat: WorkerIndex): Promise<Worker> {
    const relief = await this.spawn(seat);
    seat.replacement = relief;
    this.admit(seat, relief);
    return relief;
  }

  /** Ends one worker: the stop signal, a grace, SIGKILL. */
  private async retire(worker: Worker, why: StopReason = "stopped", signal = this.stopSignal): Promise<void> {
    worker.signal(signal, why);
    this.acceptWatcher.look();
    this.emit("change");
    const kill = setTimeout(() => worker.signal("SIGKILL"), this.spec.config.app.stop_grace_ms);
    await worker.whenEnded();
    clearTimeout(kill);
  }

  private halt(how: "stopped" | "abandoned"): void {
    this.over = how;
    this.replacer.stop();
    this.health.stop();
    this.indexes.stop();
  }

  /** Lets those leave that are not wanted, and starts what is missing. */
  private async settle(): Promise<void> {
    for (const { timer, worker, replacement: relief } of this.indexes.from(this.wantedCount)) {
      clearTimeout(timer);
      for (const leaver of [worker, relief]) if (leaver) void this.retire(leaver);
    }
    for (const seat of this.indexes.first(this.wantedCount)) {
      if (seat.worker) continue;
      try {
        await this.fill(seat);
      } catch (error) {
        if (this.alive === 0) throw error;
        this.onFillFailed(seat, error);
      }
    }
  }

  private async fill(seat: WorkerIndex): Promise<void> {
    this.sit(seat, await this.spawn(seat));
  }

  private spawn(seat: WorkerIndex): Promise<Worker> {
    return Worker.spawn(this.spec, seat.number, this.listener.fd, () => this.emit("change"));
  }

  private sit(seat: WorkerIndex, worker: Worker): void {
    seat.worker = worker;
    this.admit(seat, worker);
  }

  private admit(seat: WorkerIndex, worker: Worker): void {
    const { number, pid, adopted } = worker;
    this.living.add(worker);
    void worker.whenEnded().then((end) => this.onEnded(seat, worker, end));
    this.log.info({ worker: number, pid }, adopted ? "worker was taken over" : "worker was started");
    this.emit("started", worker);
    if (adopted) return;
    this.emit("change");
    // It was being started when the end of all was called for.
    if (this.over === "stopped") worker.signal(this.stopSignal);
    this.acceptWatcher.look();
    this.monitor.checkWorkers();
  }

  private onEnded(seat: WorkerIndex, worker: Worker, end: WorkerEnd): void {
    this.living.delete(worker);
    this.ends.push(end);
    if (this.ends.length > 100) this.ends.shift();
    const expected = EXPECTED.includes(end.reason);
    const output = this.spec.output.place(writer(this.spec, worker.number));
    this.log[expected ? "info" : "warn"]({ ...end, output }, "worker ended");
    this.emit("ended", end);
    if (seat.worker === worker) {
      seat.failures = expected || end.ranMs > SETTLED_MS ? 0 : seat.failures + 1;
      if (!expected) this.countFailure(seat.number);
      seat.worker = seat.replacement?.alive ? seat.replacement : null;
      if (!seat.worker) this.refill(seat);
    }
    this.reaper.add(worker);
    this.emit("change");
  }

  private countFailure(number: number): void {
    const ends = this.crashLoop.count(number, this.indexes.first(this.wantedCount));
    if (ends !== null) this.emit("looping", ends);
  }

  private refill(seat: WorkerIndex): void {
    if (this.over !== "no" || seat.number >= this.wantedCount) return;
    const { restart_backoff_min_ms, restart_backoff_max_ms } = this.spec.config.app;
    const wait = seat.failures === 0 ? 0 : backoffMs(seat.failures - 1, restart_backoff_min_ms, restart_backoff_max_ms);
    clearTimeout(seat.timer);
    seat.timer = setTimeout(() => {
      if (this.over !== "no" || seat.worker || seat.number >= this.wantedCount) return;
      seat.restarts++;
      this.fill(seat).catch((error) => this.onFillFailed(seat, error));
    }, wait);
  }

  private onFillFailed(seat: WorkerIndex, error: unknown): void {
    this.log.error({ err: error, worker: seat.number }, "worker could not be started");
    seat.failures++;
    this.refill(seat);
  }

  private async until(done: () => boolean, signal: AbortSignal): Promise<void> {
    while (!done()) {
      await abortable(new Promise<void>((resolve) => this.once("change", () => resolve())), signal);
    }
  }
}
