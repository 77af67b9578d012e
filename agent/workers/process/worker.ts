import type { WorkerEnd } from "../../../protocol/host-status.ts";
import type { Cgroup } from "../../os/cgroup.ts";
import { close, openPidfd } from "../../os/libc.ts";
import { identify, isAlive, type ProcessIdentity, processAgeMs } from "../../os/process.ts";
import { WorkerNotify } from "../watch/worker-notify.ts";
import { launch } from "./launch.ts";
import type { WorkerSpec } from "./spec.ts";

/** Why the agent asked a worker to end. */
export type StopReason = Exclude<WorkerEnd["reason"], "crashed" | "lost" | "oom">;

/** A worker that was started by this agent or an earlier one. Its end is a value; the first cause wins. */
export class Worker {
  /** Its listening socket was seen in use: it accepts connections. */
  accepting = false;
  notify: WorkerNotify | null = null;
  cgroup: Cgroup | null = null;
  /** Of an adopted worker: readable when it has ended. */
  pidfd: number | null = null;
  /** When the agent asked it to end, if it did. */
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
  ) {
    // The wall clock may jump while it runs.
    this.begun = performance.now() - (adopted ? processAgeMs(identity) : 0);
  }

  /**
   * @param onSigns what it shows of itself has changed
   * @throws CommandNotFoundError, AccountUnknownError, SecretUnreadableError, or the spawn's error, for example EAGAIN.
   */
  static async spawn(spec: WorkerSpec, number: number, listenerFd: number, onSigns: () => void): Promise<Worker> {
    const account = await spec.account.get();
    const cgroup = spec.cgroup?.place(number) ?? null;
    let signs: WorkerNotify | null = null;
    try {
      signs = WorkerNotify.prepare(spec.config, spec.socketDirectory, `${spec.slot}-${number}`, account, onSigns);
      const descriptors = [listenerFd, ...(signs?.descriptors ?? [])];
      const variables = signs?.variables ?? {};
      const { pid, exited } = await launch(spec, { number, account, cgroup, variables, descriptors });
      // Null where it ended at once: the exit is on its way, and nothing will be signalled.
      const identity = identify(pid) ?? { pid, startTime: -1, bootId: "" };
      const worker = new Worker(number, spec.version, identity, Date.now(), false);
      Object.assign(worker, { signs, cgroup });
      void exited.then(({ code, signal }) => worker.ended(code, signal, "crashed"));
      signs?.handedOver();
      return worker;
    } catch (error) {
      signs?.close();
      cgroup?.remove();
      throw error;
    }
  }

  /** A living worker of an earlier agent. Its end is noticed by `observe`. */
  static adopt(number: number, version: string, identity: ProcessIdentity, startedAt: number): Worker {
    const worker = new Worker(number, version, identity, startedAt, true);
    try {
      worker.pidfd = openPidfd(identity.pid);
    } catch {
      // It has ended since, which its identity tells.
    }
    return worker;
  }

  get pid(): number {
    return this.identity.pid;
  }

  get alive(): boolean {
    return this.end === undefined;
  }

  get stopping(): boolean {
    return this.asked !== undefined;
  }

  /** It accepts, and has come up as far as it shows that itself. */
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

  /** Lets go of a worker that lives on. */
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
    if (this.pidfd !== null) close(this.pidfd);
    this.pidfd = null;
  }
}

/** An end as a person would say it. */
export function describeEnd(end: WorkerEnd): string {
  const why = end.reason === "oom" ? ", out of memory," : "";
  const how = end.signal ? `by ${end.signal}` : end.exitCode === null ? "unseen" : `with exit code ${end.exitCode}`;
  return `worker ${end.worker} (pid ${end.pid}) ended ${how}${why} after ${end.ranMs} ms`;
}
