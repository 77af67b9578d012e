import type { Order } from "../../protocol/order.ts";
import type { SlotState } from "../../protocol/states.ts";
import type { Resident } from "../journal/schema.ts";

/** Everything that the next step of a slot depends on. */
export interface SlotView {
  state: SlotState;
  /** The release that the slot holds, by the journal. */
  resident: Pick<Resident, "release" | "proven"> | null;
  /** The order in progress. */
  pending: Order | null;
  /** The pending install's release is unpacked and verified. */
  staged: boolean;
  /** Workers of the slot exist, or may exist. */
  running: boolean;
  /** The current drain has ended. */
  drained: boolean;
  /** An operator holds the slot drained. */
  held: boolean;
  /** The agent is stopping its slots, and will end. */
  shutdown: boolean;
  /** An order took the resident away. It may have failed since. */
  leaving: boolean;
  /** The workers crashed in a loop: nothing is tried until a new order or a restart. */
  crashLooped: boolean;
  /** An operator asked for a restart, or it is time to retry a proven release. */
  retry: boolean;
}

/** One step of a slot. Each is idempotent: it can be repeated from wherever it was interrupted. */
export type Step =
  | "fetch"
  | "start"
  | "roll"
  | "drain"
  | "undrain"
  | "stop"
  | "remove"
  | "fail"
  | "settle"
  | "clear"
  | null;

/**
 * The next step from what is to what is wanted: the pending order's goal, otherwise what the slot holds by the journal.
 * Null: nothing to do until something changes. Pure.
 */
export function decide(view: SlotView): Step {
  if (view.shutdown) return towardsNothing(view, false);
  const goal = goalOf(view);
  const keep = goal && view.resident?.release.version === goal.version;
  if (keep) return towardsServing(view);
  // The next release is prepared while the old one serves: only a complete, verified release may replace it.
  if (goal && !view.staged) return "fetch";
  if (view.running || view.resident) return towardsNothing(view, true);
  return goal ? "start" : towardsNothing(view, true);
}

/** The release that the slot should hold; null: none. */
function goalOf({ pending, resident, leaving }: SlotView): Resident["release"] | null {
  if (pending?.action === "install") return pending.release;
  if (leaving) return null;
  // Uninstalling a version that was still being installed leaves what the slot holds.
  const removed = pending && pending.version === resident?.release.version;
  return removed ? null : (resident?.release ?? null);
}

function towardsServing(view: SlotView): Step {
  if (view.crashLooped) return view.state === "failed" && !view.running ? null : "fail";
  switch (view.state) {
    case "empty":
    case "fetching":
    case "unpacking":
    case "removing":
    case "starting":
      return "start";
    case "serving":
      if (view.held) return "drain";
      if (view.pending) return "settle";
      return view.retry ? "roll" : null;
    case "draining":
      if (!view.held) return "undrain";
      return view.drained ? null : "drain";
    case "stopping":
      return view.running ? "stop" : "start";
    case "failed":
      if (view.running) return "stop";
      return view.retry || view.pending ? "start" : null;
    default:
      return view.state satisfies never;
  }
}

function towardsNothing(view: SlotView, remove: boolean): Step {
  switch (view.state) {
    case "serving":
      return "drain";
    case "draining":
      return view.drained ? "stop" : "drain";
    case "starting":
      return "stop";
    case "stopping":
    case "failed":
    case "empty":
    case "fetching":
    case "unpacking":
    case "removing":
      if (view.running) return "stop";
      if (remove && view.resident) return "remove";
      if (remove && view.pending) return "settle";
      return view.state === "empty" || view.state === "failed" ? null : "clear";
    default:
      return view.state satisfies never;
  }
}
