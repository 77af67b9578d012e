import type { SlotStatus, WireError, WorkerStatus } from "../../../protocol/host-status.ts";

export type RestartVerdict = { is: "under way" } | { is: "restarted" } | { is: "failed"; error: WireError };

/** The processes of a slot. */
export function pidsOf(slot: string, workers: readonly WorkerStatus[]): number[] {
  return workers.filter((w) => w.slot === slot && w.pid > 0).map((w) => w.pid);
}

/** A restart, from the slot as it was before and as it is now, and the processes then and now. */
export interface RestartView {
  before: SlotStatus;
  now: SlotStatus;
  pidsBefore: readonly number[];
  pidsNow: readonly number[];
  /** Whether a step was under way at any look since. */
  sawProgress: boolean;
}

/**
 * What became of a restart. It is over when nothing is under way, the slot serves, and there is evidence that it took
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
  return { code: "INTERNAL", message: `slot ${slot} failed, and the agent does not say why; look at slotctl events` };
}
