import type { WorkerEnd } from "../../../protocol/host-status.ts";
import type { Cgroup } from "../../os/cgroup.ts";
import { close, openPidfd } from "../../os/libc.ts";
import { environment, identify, isAlive, type ProcessIdentity, processAgeMs } from "../../os/process.ts";
import { WorkerNotify } from "../watch/worker-notify.ts";
import { type Inheritance, launch } from "./launch.ts";
import type { WorkerSpec } from "./spec.ts";

/** Why the agent asked a worker to end. */
export type StopReason = Exclude<WorkerEnd["reason"], "crashed" | "lost" | "oom">;

/** What the agent keeps of a worker while it runs. */
interface Kept {
  notify: WorkerNotify | null;
  cgroup: Cgroup | null;
}

/** A worker that was started by this agent or an earlier one. Its end is a value; the first cause wins. */
export class Worker {
  private seenAccepting = false;
  private openPidfd: number | null = null;
  /** Why the agent asked it to end, if it did. */
  private asked: StopReason | undefined;
  private end: WorkerEnd | undefined;
  private readonly begun: number;
  private resolveEnded!: (end: WorkerEnd) => void;
  private readonly hasEnded = new Promise<WorkerEnd>((resolve) => {
    this.resolveEnded = resolve;
  });

  private constructor(
    readonly number: number,
    readonly version: string,
    readonly identity: ProcessIdentity,
    /** Wall-clock ms. */
    readonly startedAt: number,
    readonly adopted: boolean,
    private kept: Kept,
  ) {
    // The wall clock may jump while it runs.
    this.begun = performance.now() - (adopted ? processAgeMs(identity) : 0);
  }

  /**
   * @param front what it inherits from the pool's front
   * @param onReport what it reports has changed
   * @param signal nothing is started any more: what it would inherit may be closed
   * @throws the signal's reason, CommandNotFoundError, AccountUnknownError, SecretUnreadableError, or the spawn's own
   * error, for example EAGAIN.
   */
  static async spawn(
    spec: WorkerSpec,
    number: number,
    front: Inheritance,
    onReport: () => void,
    signal: AbortSignal,
  ): Promise<Worker> {
    const account = await spec.account.get();
    signal.throwIfAborted();
    const cgroup = spec.cgroup?.place(number) ?? null;
    let notify: WorkerNotify | null = null;
    try {
      notify = WorkerNotify.prepare(spec.config, spec.socketDirectory, `${spec.slot}-${number}`, account, onReport);
      const inheritance = {
        descriptors: [...front.descriptors, ...(notify?.descriptors ?? [])],
        variables: { ...front.variables, ...notify?.variables },
      };
      const { pid, exited } = await launch(spec, { number, account, cgroup, inheritance });
      // Null where it ended at once: the exit is on its way, and nothing will be signalled.
      const identity = identify(pid) ?? { pid, startTime: -1, bootId: "" };
      const worker = new Worker(number, spec.version, identity, Date.now(), false, { notify, cgroup });
      void exited.then(({ code, signal }) => worker.ended(code, signal, "crashed"));
      notify?.handedOver();
      return worker;
    } catch (error) {
      notify?.close();
      cgroup?.remove();
      throw error;
    }
  }

  /** A living worker of an earlier agent. `observe` notices its end, and `resume` picks up its reports. */
  static adopt(number: number, version: string, identity: ProcessIdentity, startedAt: number): Worker {
    const worker = new Worker(number, version, identity, startedAt, true, { notify: null, cgroup: null });
    try {
      worker.openPidfd = openPidfd(identity.pid);
    } catch {
      // It has ended since. Its identity will show that.
    }
    return worker;
  }

  /**
   * Picks up the sockets that an adopted worker reports on, and its control group.
   * @throws what a socket or the control group can't be used for; the worker runs on without them.
   */
  resume({ slot, config, cgroup, socketDirectory }: WorkerSpec, onReport: () => void): void {
    const started = environment(this.pid) ?? new Map<string, string>();
    const name = `${slot}-${this.number}`;
    this.kept.notify = WorkerNotify.resume(config, socketDirectory, name, started, onReport);
    this.kept.cgroup = cgroup?.placeOf(this.identity, this.number) ?? null;
  }

  get pid(): number {
    return this.identity.pid;
  }

  /** It was seen to accept connections. */
  get accepting(): boolean {
    return this.seenAccepting;
  }

  markAccepting(): void {
    this.seenAccepting = true;
  }

  /** What it reports of itself; null where nothing of the kind is configured. */
  get notify(): WorkerNotify | null {
    return this.kept.notify;
  }

  get cgroup(): Cgroup | null {
    return this.kept.cgroup;
  }

  /** Of an adopted worker that runs: readable once it has ended. */
  get pidfd(): number | null {
    return this.openPidfd;
  }

  get alive(): boolean {
    return this.end === undefined;
  }

  get stopping(): boolean {
    return this.asked !== undefined;
  }

  /** It accepts, and has reported that it is ready where it has to. */
  get ready(): boolean {
    return this.accepting && !this.stopping && (this.notify?.ready ?? true);
  }

  get ageMs(): number {
    return performance.now() - this.begun;
  }

  whenEnded(): Promise<WorkerEnd> {
    return this.hasEnded;
  }

  /** Notices the end of an adopted worker, which gives no exit event. */
  observe(): void {
    if (this.adopted && this.alive && !isAlive(this.identity)) this.ended(null, null, "lost");
  }

  /** Signals the worker's whole process group, if it is still the process that was started. @param why it is to end */
  signal(name: NodeJS.Signals, why: StopReason = "stopped"): void {
    this.asked = name === "SIGKILL" && (this.asked ?? "stopped") === "stopped" ? "killed" : (this.asked ?? why);
    if (!this.alive || !isAlive(this.identity)) return;
    try {
      process.kill(-this.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  /** Stops watching a worker that lives on. */
  abandon(): void {
    this.notify?.abandon();
    this.closePidfd();
  }

  private ended(exitCode: number | null, signal: NodeJS.Signals | null, how: "crashed" | "lost"): void {
    if (this.end) return;
    const outOfMemory = (this.cgroup?.count("memory.events", "oom_kill") ?? 0) > 0;
    const byItself = outOfMemory && (signal === "SIGKILL" || how === "lost") ? "oom" : how;
    this.end = {
      worker: this.number,
      pid: this.pid,
      version: this.version,
      reason: this.asked ?? byItself,
      exitCode,
      signal,
      ranMs: Math.round(this.ageMs),
      at: new Date().toISOString(),
    };
    this.notify?.close();
    this.closePidfd();
    this.resolveEnded(this.end);
  }

  private closePidfd(): void {
    if (this.openPidfd !== null) close(this.openPidfd);
    this.openPidfd = null;
  }
}

/** An end, in words. */
export function describeEnd(end: WorkerEnd): string {
  const why = end.reason === "oom" ? ", out of memory," : "";
  const how = end.signal ? `by ${end.signal}` : end.exitCode === null ? "unseen" : `with exit code ${end.exitCode}`;
  return `worker ${end.worker} (pid ${end.pid}) ended ${how}${why} after ${end.ranMs} ms`;
}
