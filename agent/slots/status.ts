import type { SlotStatus } from "../../protocol/host-status.ts";
import { orderVersion } from "../../protocol/order.ts";
import type { Slot } from "./slot.ts";

/** A slot as the command line, the bus and the control socket show it: one source for each fact. */
export function slotStatus(slot: Slot): SlotStatus {
  const { journal, runtime, machine, orders } = slot;
  const { pool, resident } = runtime;
  const last = journal.order;
  const connections = pool?.recentConnections() ?? null;
  return {
    slot: slot.name,
    state: machine.state,
    since: machine.since,
    port: runtime.port,
    version: resident?.release.version ?? null,
    sha256: resident?.release.sha256 ?? null,
    ...(resident?.role && { role: resident.role }),
    workers: {
      wanted: pool?.wanted ?? (resident ? runtime.wantedWorkers : 0),
      alive: pool?.alive ?? 0,
      ready: pool?.ready ?? 0,
      restarts: pool?.restarts ?? 0,
    },
    connections: connections && { open: connections.open, inFlight: connections.inFlight },
    routedBy: slot.routedBy,
    held: journal.held !== null,
    order: last && {
      id: last.order.id,
      epoch: last.order.epoch,
      action: last.order.action,
      version: orderVersion(last.order),
      outcome: last.outcome,
      ...(last.error && { error: last.error }),
    },
    epoch: journal.epoch,
    progress: runtime.progress,
    lastError: slot.lastError,
    refused: orders.refused,
    lastDrain: journal.lastDrain,
    lastEnd: runtime.lastEnd,
    socket: runtime.socketOrigin,
  };
}
