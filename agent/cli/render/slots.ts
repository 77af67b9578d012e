import type { SlotStatus } from "../../../protocol/host-status.ts";

/** The columns of `slotctl slots`. Scripts rely on them: add new ones only at the end. */
export const slotColumns = [
  "SLOT",
  "STATE",
  "VERSION",
  "PORT",
  "READY",
  "WANTED",
  "OPEN",
  "INFLIGHT",
  "SECONDS",
  "HELD",
  "ORDER",
  "OUTCOME",
];

/** A slot's values for these columns. None is empty or has a space; a missing value is `-`. */
export function slotFields(slot: SlotStatus, now: number): string[] {
  const { state, version, port, workers, connections, since, held, order } = slot;
  return [
    slot.slot,
    state,
    version ?? "-",
    String(port),
    String(workers.ready),
    String(workers.wanted),
    connections === null ? "-" : String(connections.open),
    connections === null ? "-" : String(connections.inFlight),
    String(Math.max(0, Math.floor((now - Date.parse(since)) / 1000))),
    held ? "yes" : "no",
    order?.id ?? "-",
    order?.outcome ?? "-",
  ];
}
