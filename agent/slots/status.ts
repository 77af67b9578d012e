import type { SlotStatus } from "../../protocol/index.ts";
import { orderVersion } from "../../protocol/index.ts";
import type { Slot } from "./slot.ts";

/** A slot as the command line, the bus and the control socket show it: one source for each fact. */
export function slotStatus(slot: Slot): SlotStatus {
  const { pool, journal, resident } = slot;
  const record = journal.order;
  return {
    slot: slot.name,
    state: slot.state,
    since: slot.since,
    port: slot.port,
    version: resident?.release.version ?? null,
    sha256: resident?.release.sha256 ?? null,
    workers: {
      wanted: pool?.wanted ?? (resident ? slot.wantedWorkers : 0),
      alive: pool?.alive ?? 0,
      ready: pool?.ready ?? 0,
      restarts: pool?.restarts ?? 0,
    },
    connections: slot.countConnections(),
    held: journal.held !== null,
    order: record && {
      id: record.order.id,
      epoch: record.order.epoch,
      action: record.order.action,
      version: orderVersion(record.order),
      outcome: record.outcome,
      ...(record.error && { error: record.error }),
    },
    epoch: journal.epoch,
    progress: slot.progress,
    lastError: slot.lastError,
    refused: slot.refused,
    lastDrain: journal.lastDrain,
    lastEnd: slot.lastEnd,
    socket: pool?.listener.origin ?? "none",
  };
}
