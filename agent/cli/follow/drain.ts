import type { DrainRecord, SlotStatus } from "../../../protocol/host-status.ts";

export type DrainVerdict =
  | { is: "under way" }
  /** Over, and the slot is held. `record` tells how it went. */
  | { is: "drained"; record: DrainRecord | null }
  /** Somebody took it back, and the version serves on. */
  | { is: "cancelled" }
  /** An order or a failure has taken the slot elsewhere. */
  | { is: "moved on" };

/** What became of a drain, from the slot as it was before and as it is now. */
export function drainVerdict(before: SlotStatus, now: SlotStatus): DrainVerdict {
  const record = now.lastDrain;
  const fresh = record !== null && record.startedAt !== before.lastDrain?.startedAt;
  switch (now.state) {
    case "serving":
      if (!now.held) return { is: "cancelled" };
      break;
    case "draining":
      break;
    case "empty":
    case "fetching":
    case "unpacking":
    case "starting":
    case "stopping":
    case "removing":
    case "failed":
      return { is: "moved on" };
    default:
      return now.state satisfies never;
  }
  if (now.progress !== null) return { is: "under way" };
  if (fresh) return [record.edges, record.idle].includes("cancelled") ? { is: "cancelled" } : { is: "drained", record };
  // It was drained before, and this drain had nothing to do. `held` alone is no evidence: it may be set when a drain
  // begins.
  return before.held && before.progress === null && now.held ? { is: "drained", record } : { is: "under way" };
}
