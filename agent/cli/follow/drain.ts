import type { DrainRecord, SlotStatus } from "../../../protocol/host-status.ts";

export type DrainVerdict =
  | { is: "under way" }
  /** Done, and the slot is held. `record` has the details. */
  | { is: "drained"; record: DrainRecord | null }
  /** Reversed by an undrain: the version keeps serving. */
  | { is: "cancelled" }
  /** Interrupted by an order or a failure. */
  | { is: "moved on" };

/** The outcome of a drain, from the slot's status before it and now. */
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
  // The slot was drained before, so this drain had nothing to do. `held` alone proves nothing: it may be set when a
  // drain begins.
  return before.held && before.progress === null && now.held ? { is: "drained", record } : { is: "under way" };
}
