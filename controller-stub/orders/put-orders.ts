import { randomUUID } from "node:crypto";
import { type BucketEntry, openBucket } from "../../bus/buckets.ts";
import { readEntries } from "../../bus/list-bucket.ts";
import type { BusSession } from "../../bus/session.ts";
import type { Order } from "../../protocol/order.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { OnMalformed } from "../values/malformed.ts";
import { readOrder } from "../values/read-values.ts";

const PUTS_AT_ONCE = 64;

/** An id that people can tell the order by. */
export function newOrderId(action: Order["action"], service: string, slot: string): string {
  const about = `${action}-${service}-${slot}`.slice(0, 90);
  return `${about}-${randomUUID()}`;
}

/** A service's orders on the bus, including the earlier ones of each slot. Those that can't be read are left out. */
export async function fetchOrders(bus: BusSession, service: string, onMalformed: OnMalformed): Promise<Order[]> {
  const kv = await openBucket(bus, buckets.orders);
  const entries = await readEntries(bus, kv, keys.order(service, "*", "*"));
  return ordersIn(entries, onMalformed).flatMap(({ order }) => order ?? []);
}

/**
 * The orders in entries of the bucket; null for one that was deleted or can't be read. Only the last one of a key is
 * reported: earlier ones have been replaced.
 */
export function ordersIn(
  entries: readonly BucketEntry[],
  onMalformed: OnMalformed,
): { entry: BucketEntry; order: Order | null }[] {
  const last = new Map(entries.map((entry) => [entry.key, entry.revision]));
  return entries.map((entry) => {
    if (entry.operation !== "PUT") return { entry, order: null };
    const read = readOrder(entry.key, entry.string());
    if ("value" in read) return { entry, order: read.value };
    if (entry.revision === last.get(entry.key))
      onMalformed({ bucket: buckets.orders, key: entry.key, why: read.broken });
    return { entry, order: null };
  });
}

/**
 * Puts the order for one slot of each host. `onPut` is called for each host that has it, so that a failure can say
 * which have not.
 */
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
