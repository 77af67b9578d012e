import type { Colors } from "picocolors/types.js";
import type { WorkerStatus } from "../../../protocol/host-status.ts";
import type { SlotState } from "../../../protocol/states.ts";

type Tone = "green" | "yellow" | "red" | "dim";

const slotTones: Record<SlotState, Tone> = {
  empty: "dim",
  fetching: "yellow",
  unpacking: "yellow",
  starting: "yellow",
  serving: "green",
  draining: "yellow",
  stopping: "yellow",
  removing: "yellow",
  failed: "red",
};

const workerTones: Record<WorkerStatus["state"], Tone> = {
  starting: "yellow",
  ready: "green",
  unready: "red",
  stopping: "yellow",
  waiting: "red",
};

export function slotState(colors: Colors, state: SlotState): string {
  return colors[slotTones[state]](state);
}

export function workerState(colors: Colors, state: WorkerStatus["state"]): string {
  return colors[workerTones[state]](state);
}
