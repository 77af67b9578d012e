import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import { CommandNotFoundError, StopFailedError, toSlotdError, type WorkerEnd } from "../../protocol/index.ts";
import type { Config } from "../config/schema.ts";
import { abortable } from "../os/abortable.ts";
import { isAccepting, socketInode } from "../os/accepting.ts";
import type { Listener } from "../os/listener.ts";
import { portOwner } from "../os/port-owner.ts";
import { allPids, type ProcessIdentity, processStat } from "../os/process.ts";
import { backoffMs } from "./backoff.ts";
import { endTree, signalExactly } from "./end-tree.ts";
import { Health } from "./health.ts";
import { logFile, type WorkerSpec } from "./spec.ts";
import { stragglers } from "./stragglers.ts";
import { Worker } from "./worker.ts";

/** How often workers are looked at: ones that are not known to accept yet; adopted ones; adopted ones that were told to end. */
const LOOK_MS = 50;
const IDLE_LOOK_MS = 500;
const ENDING_LOOK_MS = 10;
/** A worker that ran this long is not in a restart loop. */
const SETTLED_MS = 60_000;

interface Seat {
  worker: Worker | null;
  /** Ends in a row without having settled. */
  failures: number;
  restarts: number;
  timer: NodeJS.Timeout | undefined;
}

interface PoolEvents {
  /** The number of living or ready workers may have changed. */
  change: [];
  /** A worker was started, and with it the list of identities changed. */
  started: [worker: Worker];
  ended: [end: WorkerEnd];
}

/**
 * The workers of one slot and the socket that they share. It keeps as many of them alive as are wanted until it is stopped, and
 * knows which of them are ready: alive, seen to accept, and the slot's probe is good.
 */
export class Pool extends EventEmitter<PoolEvents> {
  readonly health: Health;
  readonly ends: WorkerEnd[] = [];
  /** Set once the workers are being ended: none is started again. */
  private stopping = false;
  private readonly seats: Seat[] = [];
  private looking: NodeJS.Timeout | undefined;
  private readonly inode: number;

  constructor(
    readonly spec: WorkerSpec,
    readonly listener: Listener,
    private wantedCount: number,
    private readonly bind: string,
    health: Config["health"],
    private readonly log: Logger,
  ) {
    super();
    this.inode = socketInode(listener.fd);
    this.health = new Health(probeAddress(bind), spec.port, health, (changed) => {
      if (changed) this.log.info({ healthy: this.health.healthy, probe: this.health.last }, "health changed");
      this.emit("change");
    });
    for (let i = 0; i < wantedCount; i++) this.seats.push(emptySeat());
  }

  get wanted(): number {
    return this.wantedCount;
  }

  get workers(): Worker[] {
    return this.seats.flatMap((seat) => (seat.worker?.alive ? [seat.worker] : []));
  }

  get alive(): number {
    return this.workers.length;
  }

  get ready(): number {
    return this.health.healthy ? this.workers.filter((worker) => worker.accepting && !worker.stopping).length : 0;
  }

  get restarts(): number {
    return this.seats.reduce((sum, seat) => sum + seat.restarts, 0);
  }

  /** The most ends in a row that one worker had. */
  get worstStreak(): number {
    return Math.max(0, ...this.seats.map((seat) => seat.failures));
  }

  restartsOf(number: number): number {
    return this.seats[number]?.restarts ?? 0;
  }

  /** Takes over living workers of an earlier agent, each into the seat that it had. */
  adopt(workers: readonly Worker[]): void {
    for (const worker of workers) this.seat(worker.number, worker);
  }

  /** Starts what is missing, and watches over all of it from now on. */
  async start(): Promise<void> {
    this.look();
    this.health.start();
    const missing = this.seats.flatMap((seat, number) => (seat.worker ? [] : [number]));
    for (const number of missing) await this.fill(number);
  }

  /** Changes how many workers there are to be; the ones with the highest numbers leave first. */
  async resize(wanted: number): Promise<void> {
    this.wantedCount = wanted;
    for (const seat of this.seats.slice(wanted)) {
      clearTimeout(seat.timer);
      if (seat.worker) void this.retire(seat.worker);
    }
    while (this.seats.length < wanted) this.seats.push(emptySeat());
    for (let number = 0; number < wanted; number++) if (!this.seats[number]?.worker) await this.fill(number);
    this.emit("change");
  }

  /**
   * Replaces the workers one at a time: the next one is up and accepting before the old one is told to end, so that there are never
   * fewer ready ones than before.
   */
  async roll(signal: AbortSignal, onProgress: (done: number, total: number) => void): Promise<void> {
    const old = this.seats.flatMap((seat, number) => (seat.worker ? [{ number, worker: seat.worker }] : []));
    for (const [done, { number, worker }] of old.entries()) {
      onProgress(done, old.length);
      const seat = this.seats[number] as Seat;
      if (!worker.alive || seat.worker !== worker) continue;
      const next = await Worker.spawn(this.spec, number, this.listener.fd);
      this.seat(number, next);
      seat.restarts++;
      await this.until(() => next.accepting || !next.alive, signal);
      await abortable(this.retire(worker), signal);
      await this.until(() => (seat.worker?.accepting ?? false) && this.health.healthy, signal);
    }
  }

  /**
   * Ends every process of the slot: the stop signal, a grace, SIGKILL to what is left of the tree. Then nothing of it runs and
   * the port is free.
   * @throws StopFailedError naming what is left.
   */
  async stop(): Promise<void> {
    const leaders = this.halt();
    for (const worker of this.workers) worker.signal(this.spec.app.stop_signal as NodeJS.Signals);
    // Descendants that left their worker's process group are told as well.
    for (const identity of stragglers(this.spec.token, leaders)) {
      if (!leaders.some((leader) => leader.pid === processStat(identity.pid)?.group))
        signalExactly(identity, this.spec.app.stop_signal as NodeJS.Signals);
    }
    this.look();
    // No new connection is taken from now on; those that were accepted live on in the workers.
    this.listener.close();
    const { slot, token, app } = this.spec;
    const graceEnd = performance.now() + app.stop_grace_ms;
    const grace = AbortSignal.timeout(app.stop_grace_ms);
    await abortable(Promise.all(this.workers.map((worker) => worker.whenEnded())), grace).catch(() => {
      for (const worker of this.workers) worker.signal("SIGKILL");
    });
    await endTree({ slot, token, leaders }, graceEnd - performance.now());
    for (const worker of this.workers) worker.observe();
    await Promise.all(this.workers.map((worker) => worker.whenEnded()));
    clearTimeout(this.looking);
    this.verifyPortFree();
  }

  /** Lets go without touching a worker: another agent will adopt them. */
  abandon(): void {
    this.halt();
    clearTimeout(this.looking);
    this.listener.close();
  }

  /** Ends one worker: the stop signal, a grace, SIGKILL. */
  private async retire(worker: Worker): Promise<void> {
    worker.signal(this.spec.app.stop_signal as NodeJS.Signals);
    const kill = setTimeout(() => worker.signal("SIGKILL"), this.spec.app.stop_grace_ms);
    await worker.whenEnded();
    clearTimeout(kill);
  }

  private halt(): ProcessIdentity[] {
    this.stopping = true;
    this.health.stop();
    for (const seat of this.seats) clearTimeout(seat.timer);
    return this.workers.map((worker) => worker.identity);
  }

  private verifyPortFree(): void {
    const owner = portOwner(this.bind, this.spec.port);
    if (owner)
      throw new StopFailedError(
        this.spec.slot,
        `port ${this.spec.port} is still held by process ${owner.pid} (${owner.command})`,
      );
  }

  private async fill(number: number): Promise<void> {
    try {
      this.seat(number, await Worker.spawn(this.spec, number, this.listener.fd));
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code ?? String(error);
      if (why === "ENOENT" || why === "EACCES" || why === "ENOTDIR")
        throw new CommandNotFoundError(this.spec.app.command[0] ?? "", `working directory or shell: ${why}`);
      throw toSlotdError(error);
    }
  }

  private seat(number: number, worker: Worker): void {
    while (this.seats.length <= number) this.seats.push(emptySeat());
    const seat = this.seats[number] as Seat;
    seat.worker = worker;
    void worker.whenEnded().then((end) => this.onEnded(seat, worker, end));
    this.log.info({ worker: number, pid: worker.pid }, worker.adopted ? "worker was taken over" : "worker was started");
    this.emit("started", worker);
    this.emit("change");
    this.look();
  }

  private onEnded(seat: Seat, worker: Worker, end: WorkerEnd): void {
    this.ends.push(end);
    if (this.ends.length > 100) this.ends.shift();
    const expected = end.reason === "stopped" || end.reason === "killed";
    this.log[expected ? "info" : "warn"]({ ...end, logFile: logFile(this.spec, worker.number) }, "worker ended");
    this.emit("ended", end);
    if (seat.worker === worker) {
      seat.worker = null;
      seat.failures = expected || end.ranMs > SETTLED_MS ? 0 : seat.failures + 1;
      if (!this.stopping && worker.number < this.wantedCount) this.refill(seat, worker.number);
    }
    this.emit("change");
  }

  private refill(seat: Seat, number: number): void {
    const { restart_backoff_min_ms, restart_backoff_max_ms } = this.spec.app;
    const wait = seat.failures === 0 ? 0 : backoffMs(seat.failures - 1, restart_backoff_min_ms, restart_backoff_max_ms);
    seat.timer = setTimeout(async () => {
      if (this.stopping || seat.worker) return;
      seat.restarts++;
      try {
        await this.fill(number);
      } catch (error) {
        this.log.error({ err: error, worker: number }, "worker could not be started");
        seat.failures++;
        if (!this.stopping) this.refill(seat, number);
      }
    }, wait);
  }

  /** Looks at the workers: often while one is not known to accept, else now and then for the ends of adopted ones. */
  private look(): void {
    clearTimeout(this.looking);
    let unsure = false;
    let changed = false;
    for (const worker of this.workers) {
      worker.observe();
      if (!worker.alive || worker.accepting) continue;
      worker.accepting = this.accepts(worker);
      changed ||= worker.accepting;
      unsure ||= !worker.accepting;
    }
    if (changed) this.emit("change");
    const adopted = this.workers.filter((worker) => worker.adopted);
    const next = adopted.some((worker) => worker.stopping) ? ENDING_LOOK_MS : unsure ? LOOK_MS : IDLE_LOOK_MS;
    if (unsure || adopted.length > 0) this.looking = setTimeout(() => this.look(), next);
  }

  private accepts(worker: Worker): boolean {
    const own = isAccepting(worker.pid, this.inode);
    if (own === "yes") return true;
    const group = allPids().filter((pid) => pid !== worker.pid && processStat(pid)?.group === worker.pid);
    const all = [own, ...group.map((pid) => isAccepting(pid, this.inode))];
    if (all.includes("yes")) return true;
    // It waits in a way that can't be seen; then the slot's probe has to do.
    return all.every((answer) => answer === "no-epoll") && this.health.healthy;
  }

  private async until(done: () => boolean, signal: AbortSignal): Promise<void> {
    while (!done()) {
      await abortable(new Promise<void>((resolve) => this.once("change", () => resolve())), signal);
    }
  }
}

function emptySeat(): Seat {
  return { worker: null, failures: 0, restarts: 0, timer: undefined };
}

/** Where a slot's own host reaches it. */
export function probeAddress(bind: string): string {
  if (bind === "0.0.0.0") return "127.0.0.1";
  return bind === "::" ? "::1" : bind;
}
