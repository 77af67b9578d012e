import { SlotUnknownError } from "../../protocol/errors.ts";
import type { HostStatus, WireError } from "../../protocol/host-status.ts";
import type { OrderOutcome } from "../../protocol/states.ts";

export interface AwaitedOrder {
  id: string;
  epoch: number;
  slot: string;
}

export interface OrderVerdict {
  outcome: Exclude<OrderOutcome, "pending">;
  error?: Pick<WireError, "code" | "message">;
}

/**
 * The outcome of an order on a host; undefined while its status does not tell.
 * @param before the order that the slot had when this one was issued, and which therefore can't have superseded it
 */
export function outcomeOf(
  order: AwaitedOrder,
  status: HostStatus,
  before: string | undefined,
): OrderVerdict | undefined {
  const slot = status.slots[order.slot];
  if (slot === undefined) {
    if (status.lastError?.orderId === order.id) return { outcome: "refused", error: status.lastError };
    const known = Object.keys(status.slots);
    return known.length === 0 ? undefined : { outcome: "refused", error: new SlotUnknownError(order.slot, known) };
  }
  const held = slot.order;
  if (held?.id === order.id) return held.outcome === "pending" ? undefined : verdict(held.outcome, held.error);
  if (slot.refused?.orderId === order.id) return { outcome: "refused", error: slot.refused };
  if (status.lastError?.orderId === order.id) return { outcome: "refused", error: status.lastError };
  if (held && held.id !== before && held.epoch > order.epoch) {
    const message = `order ${held.id} (epoch ${held.epoch}) came first`;
    return { outcome: "superseded", error: { code: "SUPERSEDED", message } };
  }
  return undefined;
}

function verdict(outcome: OrderVerdict["outcome"], error: WireError | undefined): OrderVerdict {
  return error === undefined ? { outcome } : { outcome, error };
}
