import type { Colors } from "picocolors/types.js";
import type { SlotStatus } from "../../../protocol/host-status.ts";
import { plural, progressText } from "./amounts.ts";
import { slotState } from "./state.ts";

/**
 * A slot's status on one line:
 * `a  draining 1.4.1 · waiting for requests: 3 of 9 connections (33%) · 6 connections, 2 in flight`.
 */
export function slotLine(
  { slot, state, version, held, workers, connections, progress }: SlotStatus,
  colors: Colors,
): string {
  const what = `${slotState(colors, state)}${version === null ? "" : ` ${version}`}${held ? ", held" : ""}`;
  const parts = [
    what,
    ...(progress ? [progressText(progress, version)] : []),
    `${workers.ready}/${workers.wanted} workers ready`,
    ...(connections ? [`${plural(connections.open, "connection")} open, ${connections.inFlight} in flight`] : []),
  ];
  return `${colors.bold(slot)}  ${parts.join(" · ")}`;
}
