import { readFileSync } from "node:fs";
import type { Config } from "../../config/schema.ts";
import type { Worker } from "../process/worker.ts";

/** How often workers are looked after: ones that have not come up yet; else. */
const STARTING_MS = 50;
const IDLE_MS = 1_000;
/** A watchdog is looked at so many times within its time. */
const LOOKS = 4;
/** Ages are spread over so much of the configured one, both ways. */
const AGE_SPREAD = 0.1;

interface MonitorCallbacks {
  /** It hangs, or is not well: it is to be ended, and its seat filled again. */
  onIll(worker: Worker, why: "hung" | "unhealthy"): void;
  /** It is to be replaced, when another one is there. */
  onWorn(worker: Worker, why: string): void;
  /** It has come up, or says something else. */
  onChange(): void;
}

/** Looks after single workers: what they show of themselves, and whether they are due to be replaced. */
export class WorkerMonitor {
  private timer: NodeJS.Timeout | undefined;
  private readonly needed: boolean;

  constructor(
    private readonly workers: ReadonlySet<Worker>,
    private readonly config: Config,
    private readonly care: MonitorCallbacks,
  ) {
    const { recycle, watchdog, liveness, readiness } = config;
    const rules = [recycle.memory_bytes, recycle.age_ms, recycle.requests, watchdog.timeout_ms, liveness.path];
    this.needed = readiness.by === "notify" || rules.some((rule) => rule !== undefined);
  }

  checkWorkers(): void {
    clearTimeout(this.timer);
    if (!this.needed) return;
    for (const worker of this.workers) if (worker.alive && !worker.stopping) this.checkWorker(worker);
    const starting = [...this.workers].some(({ notify: signs, stopping }) => signs && !signs.ready && !stopping);
    const watched = (this.config.watchdog.timeout_ms ?? Number.POSITIVE_INFINITY) / LOOKS;
    this.timer = setTimeout(() => this.checkWorkers(), starting ? STARTING_MS : Math.min(IDLE_MS, watched));
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private checkWorker(worker: Worker): void {
    const { notify: signs } = worker;
    const before = { ready: signs?.ready, says: signs?.says };
    const ill = signs?.receiveAndJudge() ?? null;
    if (ill) {
      this.care.onIll(worker, ill);
      return;
    }
    if (before.ready !== signs?.ready || before.says !== signs?.says) this.care.onChange();
    const worn = this.wear(worker);
    if (worn) this.care.onWorn(worker, worn);
  }

  private wear({ pid, number, ageMs, notify: signs }: Worker): string | null {
    const { memory_bytes, age_ms, requests } = this.config.recycle;
    if (signs?.wantsReplacement) return "it asked for it";
    if (requests !== undefined && signs && signs.requests >= requests) return `it served ${signs.requests} requests`;
    if (age_ms !== undefined && ageMs > age_ms * spread(pid, number)) return `it ran for ${Math.round(ageMs / 1000)} s`;
    const memory = memory_bytes === undefined ? 0 : residentBytes(pid);
    return memory_bytes !== undefined && memory > memory_bytes ? `it uses ${memory} bytes of memory` : null;
  }
}

/** Another factor for each process, and always the same one for it. */
function spread(pid: number, number: number): number {
  return 1 - AGE_SPREAD + (2 * AGE_SPREAD * ((pid * 31 + number * 17) % 100)) / 100;
}

/** Resident memory of a process: proc(5), status. 0 where it is gone. */
function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
