import type { SlotStatus, WireError, WorkerStatus } from "../../../protocol/host-status.ts";

export type RestartVerdict = { is: "under way" } | { is: "restarted" } | { is: "failed"; error: WireError };

/** The processes of a slot. */
export function pidsOf(slot: string, workers: readonly WorkerStatus[]): number[] {
  return workers.filter((w) => w.slot === slot && w.pid > 0).map((w) => w.pid);
}

/** What a restart's verdict depends on: the slot's status and processes, before and now. */
export interface RestartView {
  before: SlotStatus;
  now: SlotStatus;
  pidsBefore: readonly number[];
  pidsNow: readonly number[];
  /** Whether any poll since the start showed a step under way. */
  sawProgress: boolean;
}

/**
 * The outcome of a restart. It is done once no step is under way, the slot serves, and there is evidence that it took
 * place.
 */
export function restartVerdict({ before, now, pidsBefore, pidsNow, sawProgress }: RestartView): RestartVerdict {
  if (now.progress !== null) return { is: "under way" };
  const error = now.lastError;
  const freshError =
    error !== null && (error.at !== before.lastError?.at || error.message !== before.lastError?.message);
  if (freshError && (now.state === "serving" || now.state === "failed")) return { is: "failed", error };
  if (now.state === "failed" && sawProgress) return { is: "failed", error: error ?? unexplained(now) };
  const replaced = !pidsBefore.some((pid) => pidsNow.includes(pid));
  return now.state === "serving" && (sawProgress || replaced) ? { is: "restarted" } : { is: "under way" };
}

function unexplained({ slot }: SlotStatus): WireError {
  return { code: "INTERNAL", message: `slot ${slot} failed, and the agent does not say why; see slotctl events` };
}
