import { randomUUID } from "node:crypto";
import { openBucket } from "../../bus/buckets.ts";
import { readEntries } from "../../bus/list-bucket.ts";
import type { BusSession } from "../../bus/session.ts";
import { OrderMalformedError } from "../../protocol/errors.ts";
import { type Order, parseOrder } from "../../protocol/order.ts";
import { buckets, keys } from "../../protocol/subjects.ts";

const PUTS_AT_ONCE = 64;

/** An id that tells people what it is about. */
export function newOrderId(action: Order["action"], service: string, slot: string): string {
  const about = `${action}-${service}-${slot}`.slice(0, 90);
  return `${about}-${randomUUID()}`;
}

/** The order, if an agent would read it. @throws OrderMalformedError naming the field and the rule. */
export function checkOrder(order: unknown): Order {
  return parseOrder(JSON.stringify(order));
}

/** The orders that the bus holds for a service, the earlier ones of each slot too. What can't be read is left out. */
export async function readOrders(bus: BusSession, service: string): Promise<Order[]> {
  const kv = await openBucket(bus, buckets.orders);
  const entries = await readEntries(bus, kv, keys.order(service, "*", "*"));
  return entries.filter((entry) => entry.operation === "PUT").flatMap((entry) => tryParse(entry.string()));
}

function tryParse(text: string): Order[] {
  try {
    return [parseOrder(text)];
  } catch (error) {
    if (error instanceof OrderMalformedError) return [];
    throw error;
  }
}

/** Puts the order for one slot of each host. `onPut` hears of each host that has it, so that a failure can say which have not. */
export async function putOrders(
  bus: BusSession,
  { service, slot, hosts, order }: { service: string; slot: string; hosts: readonly string[]; order: Order },
  onPut: (host: string) => void,
): Promise<void> {
  const kv = await openBucket(bus, buckets.orders);
  const value = JSON.stringify(order);
  for (let start = 0; start < hosts.length; start += PUTS_AT_ONCE) {
    const batch = hosts.slice(start, start + PUTS_AT_ONCE).map(async (host) => {
      await bus.persist(() => kv.put(keys.order(service, host, slot), value));
      onPut(host);
    });
    const failed = (await Promise.allSettled(batch)).find((put) => put.status === "rejected");
    if (failed) throw failed.reason;
  }
}
