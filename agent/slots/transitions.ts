import type { SlotState } from "../../protocol/states.ts";

/** What can happen to a slot. `docs` of the states stand with `slotStates` in the protocol. */
export const slotEvents = [
  /** Start fetching an archive into a slot where nothing serves. */
  "fetch",
  /** The archive is here. */
  "unpack",
  /** Start the workers, or take over running ones. */
  "start",
  /** The workers of an earlier agent were found serving, and taken over. */
  "adopt",
  /** Enough workers were ready for long enough. */
  "ready",
  /** Take the version out of the serverset and let it run idle. */
  "drain",
  /** The drain was cancelled. */
  "undrain",
  /** End the workers. */
  "stop",
  /** Delete the release's files. */
  "remove",
  /** Nothing is left to do here, and nothing runs. */
  "clear",
  /** The step under way did not succeed and nothing of it runs any more; or the workers crash in a loop. */
  "fail",
] as const;
export type SlotEvent = (typeof slotEvents)[number];

/** The whole state machine. A pair that is missing is refused. */
export const transitions: Record<SlotState, Partial<Record<SlotEvent, SlotState>>> = {
  empty: {
    fetch: "fetching",
    start: "starting",
    adopt: "serving",
    remove: "removing",
    stop: "stopping",
    clear: "empty",
    fail: "failed",
  },
  fetching: {
    unpack: "unpacking",
    start: "starting",
    clear: "empty",
    fetch: "fetching",
    remove: "removing",
    fail: "failed",
  },
  unpacking: { start: "starting", clear: "empty", fetch: "fetching", remove: "removing", fail: "failed" },
  starting: { start: "starting", ready: "serving", stop: "stopping", fail: "failed" },
  serving: { drain: "draining", fail: "failed" },
  draining: { drain: "draining", undrain: "serving", stop: "stopping", fail: "failed" },
  // An install may be ordered while an uninstall stops what was there.
  stopping: {
    stop: "stopping",
    remove: "removing",
    fetch: "fetching",
    start: "starting",
    clear: "empty",
    fail: "failed",
  },
  removing: { remove: "removing", fetch: "fetching", start: "starting", clear: "empty", fail: "failed" },
  failed: {
    fetch: "fetching",
    start: "starting",
    stop: "stopping",
    remove: "removing",
    clear: "empty",
    fail: "failed",
  },
};

/** The state after an event, or null where the state does not know that event. */
export function transition(state: SlotState, event: SlotEvent): SlotState | null {
  return transitions[state][event] ?? null;
}
