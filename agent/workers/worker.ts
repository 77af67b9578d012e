import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { CommandNotFoundError, toSlotdError, type WorkerEnd } from "../../protocol/index.ts";
import { ageMs, identify, isAlive, type ProcessIdentity } from "../os/process.ts";
import { logFile, type WorkerSpec, workerEnvironment, workingDirectory } from "./spec.ts";

/**
 * Sets LISTEN_PID to the worker's own pid, which only the worker can know, and becomes the worker. An agent that is spared when memory
 * runs out does not hand that on.
 */
const LAUNCHER = [
  'read -r adjust </proc/$$/oom_score_adj && [ "$adjust" -ge 0 ] || echo 0 >/proc/$$/oom_score_adj',
  'export LISTEN_PID=$$; exec "$@"',
].join("\n");

/** A worker that was started by this agent or an earlier one. Its end is a value; the first cause wins. */
export class Worker {
  /** Its listening socket was seen in use: it accepts connections. */
  accepting = false;
  /** When the agent asked it to end, if it did. */
  private asked: "stopped" | "killed" | undefined;
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
    this.begun = performance.now() - (adopted ? ageMs(identity) : 0);
  }

  /** @throws CommandNotFoundError, or the spawn's error, for example EAGAIN. */
  static async spawn(spec: WorkerSpec, number: number, listenerFd: number): Promise<Worker> {
    const output = openSync(logFile(spec, number), "a", 0o640);
    let child: ChildProcess;
    try {
      child = spawn("/bin/sh", ["-c", LAUNCHER, "sh", ...spec.app.command], {
        cwd: workingDirectory(spec),
        env: workerEnvironment(spec, number, process.env),
        detached: true,
        stdio: ["ignore", output, output, listenerFd],
      });
    } finally {
      closeSync(output);
    }
    const exited = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.once("exit", (code, signal) => resolve([code, signal])),
    );
    await new Promise((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (error) => reject(spawnError(spec, error)));
    });
    const pid = child.pid as number;
    // Null where it ended at once: the exit is on its way, and nothing will be signalled.
    const identity = identify(pid) ?? { pid, startTime: -1, bootId: "" };
    const worker = new Worker(number, spec.version, identity, Date.now(), false);
    exited.then(([code, signal]) => worker.ended(code, signal, "crashed"));
    // The agent's end must not wait for its workers.
    child.unref();
    return worker;
  }

  /** A living worker of an earlier agent. Its end is noticed by `observe`. */
  static adopt(number: number, version: string, identity: ProcessIdentity, startedAt: number): Worker {
    return new Worker(number, version, identity, startedAt, true);
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

  whenEnded(): Promise<WorkerEnd> {
    return this.hasEnded;
  }

  /** Notices the end of an adopted worker, which gives no exit event. */
  observe(): void {
    if (this.adopted && this.alive && !isAlive(this.identity)) this.ended(null, null, "lost");
  }

  /** Signals the worker's whole process group, if it is still the process that was started. */
  signal(name: NodeJS.Signals): void {
    this.asked = name === "SIGKILL" ? "killed" : (this.asked ?? "stopped");
    if (!this.alive || !isAlive(this.identity)) return;
    try {
      process.kill(-this.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  private ended(exitCode: number | null, signal: NodeJS.Signals | null, reason: "crashed" | "lost"): void {
    this.end ??= {
      worker: this.number,
      pid: this.pid,
      version: this.version,
      reason: this.asked ?? reason,
      exitCode,
      signal,
      ranMs: Math.round(performance.now() - this.begun),
      at: new Date().toISOString(),
    };
    this.resolveEnded(this.end);
  }
}

function spawnError(spec: WorkerSpec, error: NodeJS.ErrnoException) {
  if (!["ENOENT", "EACCES", "ENOTDIR"].includes(error.code ?? "")) return toSlotdError(error);
  return new CommandNotFoundError(spec.app.command[0] ?? "", `working directory or shell: ${error.code}`);
}

/** An end as a person would say it. */
export function describeEnd(end: WorkerEnd): string {
  const how = end.signal ? `by ${end.signal}` : end.exitCode === null ? "unseen" : `with exit code ${end.exitCode}`;
  return `worker ${end.worker} (pid ${end.pid}) ended ${how} after ${end.ranMs} ms`;
}
