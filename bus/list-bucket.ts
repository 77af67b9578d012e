import type { KV, KvEntry } from "@nats-io/kv";
import { TimeoutError } from "@nats-io/transport-node";
import { bucketInfo, ListingCount } from "./bucket-info.ts";
import type { BusSession } from "./session.ts";

/** The client takes as long to set up a listing as to answer a request, and a loaded server needs some more. */
const LEAST_MS = 7_000;

/**
 * What the keys under a filter hold, oldest write first; several values of a key where the bucket keeps a history.
 * @throws BusUnreachableError where the bus does not answer
 */
export function readEntries(bus: BusSession, kv: KV, filter: string): Promise<KvEntry[]> {
  return bus.persist(async () => {
    const { bucket } = await kv.status();
    const count = new ListingCount(bucket, await bucketInfo(bus.jsm, bucket, filter));
    const iterator = await kv.history({ key: filter });
    let late = false;
    const end = () => {
      late = true;
      iterator.stop();
    };
    // The bound starts anew with every value, so that a large bucket is not taken for a dead bus.
    const timer = setTimeout(end, Math.max(bus.timeoutMs, LEAST_MS));
    const entries: KvEntry[] = [];
    try {
      for await (const entry of iterator) {
        timer.refresh();
        entries.push(entry);
        count.hear(entry.key);
        if (entry.revision >= count.last && count.isWhole) break;
      }
    } finally {
      clearTimeout(timer);
      iterator.stop();
    }
    if (late || !count.isWhole) throw new TimeoutError();
    return entries;
  });
}

/** The present value of each key under a filter. */
export async function readValues(bus: BusSession, kv: KV, filter: string): Promise<KvEntry[]> {
  const latest = new Map<string, KvEntry>();
  for (const entry of await readEntries(bus, kv, filter)) latest.set(entry.key, entry);
  return [...latest.values()].filter((entry) => entry.operation === "PUT");
}
