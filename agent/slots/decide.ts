import type { Order } from "../../protocol/order.ts";
import type { SlotState } from "../../protocol/states.ts";
import type { Resident } from "../journal/schema.ts";

/** All that the next step of a slot depends on. */
export interface SlotView {
  state: SlotState;
  /** The release that the slot holds, by the journal. */
  resident: Pick<Resident, "release" | "proven"> | null;
  /** The order that is under way, if one is. */
  pending: Order | null;
  /** The pending install's release is unpacked and verified. */
  staged: boolean;
  /** Workers of the slot exist, or may. */
  running: boolean;
  /** The drain under way has come to its end. */
  drained: boolean;
  /** An operator holds the slot drained. */
  held: boolean;
  /** The agent is to stop its slots and end. */
  shutdown: boolean;
  /** The workers crashed in a loop: nothing is tried until something else is ordered, or asked for. */
  crashLooped: boolean;
  /** An operator asked for a restart, or a proven release is to be tried again. */
  retry: boolean;
}

/** One step of a slot. Each is idempotent: it may be entered again where it was left. */
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
 * The next step from what is towards what is wanted: the pending order's goal, else what the journal says that the slot holds.
 * Null: nothing to do until something changes. Pure.
 */
export function decide(view: SlotView): Step {
  if (view.shutdown) return towardsNothing(view, false);
  const goal = goalOf(view);
  const keep = goal && view.resident?.release.version === goal.version;
  if (keep) return towardsServing(view);
  // The next release is made ready beside the one that serves: only what is whole and verified may take its place.
  if (goal && !view.staged) return "fetch";
  if (view.running || view.resident) return towardsNothing(view, true);
  return goal ? "start" : towardsNothing(view, true);
}

/** The release that the slot is to hold; null: none. */
function goalOf({ pending, resident }: SlotView): Resident["release"] | null {
  if (pending?.action === "install") return pending.release;
  // An uninstall of what was only on its way leaves what the slot holds.
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
