import type { Config } from "../../config/schema.ts";
import type { Cgroup } from "../../os/cgroup.ts";
import { ProcessTable } from "../../os/process-table.ts";
import { memoryAbove } from "./memory.ts";
import type { WorkerNotify } from "./worker-notify.ts";

/** Time between two checks: while a worker has not come up yet; else. */
const STARTING_MS = 50;
const IDLE_MS = 1_000;
/** A watchdog is checked so many times within its timeout. */
const CHECKS = 4;
/** The age at which a worker is recycled differs from the configured one by up to this share, both ways. */
const AGE_SPREAD = 0.1;

/** A worker as it is monitored here. */
interface Monitored {
  readonly pid: number;
  readonly cgroup: Cgroup | null;
  readonly number: number;
  readonly alive: boolean;
  readonly stopping: boolean;
  readonly ageMs: number;
  readonly notify: Pick<WorkerNotify, "ready" | "says" | "requests" | "wantsReplacement" | "receiveAndJudge"> | null;
}

interface MonitorCallbacks<W> {
  /** It hangs or is unhealthy: it must be killed and started again. */
  onIll(worker: W, why: "hung" | "unhealthy"): void;
  /** It is due to be replaced, once its replacement is up. */
  onWorn(worker: W, why: string): void;
  /** It has come up, or says something else of itself. */
  onChange(): void;
}

/** Monitors single workers: what they report, and whether they are due to be recycled. */
export class WorkerMonitor<W extends Monitored> {
  private timer: NodeJS.Timeout | undefined;
  private readonly needed: boolean;

  constructor(
    private readonly workers: ReadonlySet<W>,
    private readonly config: Config,
    private readonly callbacks: MonitorCallbacks<W>,
  ) {
    const { recycle, watchdog, liveness, readiness } = config;
    const rules = [recycle.memory_bytes, recycle.age_ms, recycle.requests, watchdog.timeout_ms, liveness.path];
    this.needed = readiness.by === "notify" || rules.some((rule) => rule !== undefined);
  }

  checkWorkers(): void {
    clearTimeout(this.timer);
    if (!this.needed) return;
    let read: ProcessTable | undefined;
    // One for all of them, and only if one has to be measured by it.
    const table = () => (read ??= ProcessTable.read());
    for (const worker of this.workers) if (worker.alive && !worker.stopping) this.checkWorker(worker, table);
    const starting = [...this.workers].some(({ notify, stopping }) => notify && !notify.ready && !stopping);
    const watched = (this.config.watchdog.timeout_ms ?? Number.POSITIVE_INFINITY) / CHECKS;
    this.timer = setTimeout(() => this.checkWorkers(), starting ? STARTING_MS : Math.min(IDLE_MS, watched));
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private checkWorker(worker: W, table: () => ProcessTable): void {
    const { notify } = worker;
    const before = { ready: notify?.ready, says: notify?.says };
    const ill = notify?.receiveAndJudge() ?? null;
    if (ill) {
      this.callbacks.onIll(worker, ill);
      return;
    }
    if (before.ready !== notify?.ready || before.says !== notify?.says) this.callbacks.onChange();
    const worn = this.wear(worker, table);
    if (worn) this.callbacks.onWorn(worker, worn);
  }

  private wear(worker: W, table: () => ProcessTable): string | null {
    const { pid, number, ageMs, notify } = worker;
    const { memory_bytes, age_ms, requests } = this.config.recycle;
    if (notify?.wantsReplacement) return "it asked for it";
    if (requests !== undefined && notify && notify.requests >= requests) return `it served ${notify.requests} requests`;
    if (age_ms !== undefined && ageMs > age_ms * spread(pid, number)) return `it ran for ${Math.round(ageMs / 1000)} s`;
    const memory = memory_bytes === undefined ? null : memoryAbove(memory_bytes, worker, table);
    return memory === null ? null : `it uses ${memory} bytes of memory`;
  }
}

/** A factor that differs between processes and stays the same for each. */
function spread(pid: number, number: number): number {
  return 1 - AGE_SPREAD + (2 * AGE_SPREAD * ((pid * 31 + number * 17) % 100)) / 100;
}
