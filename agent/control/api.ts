import { z } from "zod";
import { configRule } from "../../daemon/config-rule.ts";
import { OrderMalformedError } from "../../protocol/errors.ts";
import type { HostStatus, SlotStatus, WorkerStatus } from "../../protocol/host-status.ts";
import type { EventLog } from "../event-log.ts";
import { ProcessTable } from "../os/process-table.ts";
import type { OutputFilter, WorkerOutput } from "../output/worker-output.ts";
import type { Inventory } from "../releases/store/inventory.ts";
import type { Slot } from "../slots/slot.ts";
import type { Pool } from "../workers/pool.ts";
import type { Worker } from "../workers/process/worker.ts";
import { memoryOf, processesOf } from "../workers/watch/memory.ts";
import { type Caller, callerText } from "./caller.ts";

const DEFAULT_LINES = 100;
const MAX_LINES = 10_000;
const MAX_WORKER = 4_096;

const askSchema = z.object({
  by: z.string().min(1).max(256).optional(),
  reason: z.string().max(1024).optional(),
});

/** What is controlled here: an agent. */
export interface Controlled {
  readonly slots: ReadonlyMap<string, Slot>;
  readonly events: EventLog;
  readonly output: WorkerOutput;
  readonly releases: { readonly inventory: Inventory };
  status(): HostStatus;
  slotStatus(name: string): SlotStatus;
  /** @throws SlotUnknownError */
  slot(name: string): Slot;
}

/** The agent's answers: the same on the control socket and as a micro service. */
export class Api {
  constructor(readonly agent: Controlled) {}

  status(): HostStatus {
    return this.agent.status();
  }

  async workers(): Promise<WorkerStatus[]> {
    let read: ProcessTable | undefined;
    const table = () => (read ??= ProcessTable.read());
    const found = await Promise.all(
      [...this.agent.slots.values()].map(async (slot) => {
        const { pool } = slot.runtime;
        if (!pool) return [];
        const { workers } = pool;
        const usages = await Promise.all(workers.map((worker) => usageOf(worker, table)));
        return workers.map((worker, i) => ({
          slot: slot.name,
          worker: worker.number,
          version: worker.version,
          pid: worker.pid,
          state: workerState(pool, worker),
          uptimeMs: Math.round(worker.ageMs),
          cpuPercent: usages[i]?.cpuPercent ?? null,
          memoryBytes: usages[i]?.memoryBytes ?? null,
          says: worker.notify?.says == null ? null : pool.spec.secrets.redact(worker.notify.says),
          restarts: pool.restartsOf(worker.number),
          output: this.agent.output.place({ slot: slot.name, version: worker.version, worker: worker.number }),
        }));
      }),
    );
    return found.flat();
  }

  /**
   * What of the workers' output is asked for, as numbers or as text.
   * @throws SlotUnknownError, OrderMalformedError
   */
  outputFilter(asked: { slot?: unknown; worker?: unknown; lines?: unknown }): OutputFilter {
    return {
      slot: asked.slot == null ? null : this.agent.slot(String(asked.slot)).name,
      worker: asked.worker == null ? null : requireWholeNumber("worker", asked.worker, MAX_WORKER),
      lines: requireWholeNumber("lines", asked.lines ?? DEFAULT_LINES, MAX_LINES),
    };
  }

  /** Starts a drain that is held until `undrain`. */
  drain(slot: string, body: unknown, caller: Caller): SlotStatus {
    const { by, reason } = ask(body);
    this.agent.slot(slot).drain(callerText(caller, by), reason);
    return this.agent.slotStatus(slot);
  }

  undrain(slot: string, body: unknown, caller: Caller): SlotStatus {
    this.agent.slot(slot).undrain(callerText(caller, ask(body).by));
    return this.agent.slotStatus(slot);
  }

  restart(slot: string, body: unknown, caller: Caller): SlotStatus {
    this.agent.slot(slot).restart(callerText(caller, ask(body).by));
    return this.agent.slotStatus(slot);
  }
}

/** @throws OrderMalformedError */
export function requireWholeNumber(name: string, value: unknown, max: number): number {
  const count = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (Number.isInteger(count) && (count as number) >= 0 && (count as number) <= max) return count as number;
  const given = (JSON.stringify(value) ?? "nothing").slice(0, 100);
  throw new OrderMalformedError(name, `must be a whole number up to ${max}, but is ${given}`);
}

function workerState(pool: Pool, worker: Worker): WorkerStatus["state"] {
  if (worker.stopping) return "stopping";
  if (!worker.accepting) return "starting";
  return pool.health.healthy && worker.ready ? "ready" : "unready";
}

/** What a worker uses, with all that it has started; null where it has ended. */
async function usageOf(worker: Worker, table: () => ProcessTable) {
  // Loaded by who asks: most agents are never asked.
  const { default: pidusage } = await import("pidusage");
  // A process may end between the list and the look; the others' figures still count.
  const each = processesOf(worker, table).map((pid) => pidusage(pid).catch(() => null));
  const figures = (await Promise.all(each)).filter((figure) => figure !== null);
  if (figures.length === 0) return null;
  const cpuPercent = figures.reduce((all, { cpu }) => all + cpu, 0);
  return { cpuPercent, memoryBytes: memoryOf(worker, table) };
}

function ask(body: unknown): z.infer<typeof askSchema> {
  const parsed = askSchema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new OrderMalformedError(issue?.path.join(".") || "(the request)", issue ? configRule(issue) : "is not valid");
}
