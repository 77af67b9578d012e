import type { buckets } from "../protocol/subjects.ts";
import { openBucket, readValues } from "./buckets.ts";
import type { Bus } from "./bus.ts";

export interface Followed {
  bucket: (typeof buckets)[keyof typeof buckets];
  /** The keys, with wildcards. */
  filter: string;
  /** A key's value; `revision` is known only of what was read, not of what was heard. */
  onValue(key: string, text: string, revision?: number): void;
  /** A key was deleted. */
  onGone?(key: string): void;
}

/**
 * Calls back with what keys hold: first the present values, then each as it is written. Puts into a bucket are ordinary messages, so no
 * consumer is kept on the server; what a lost connection swallowed is read again when it is back. For buckets that are not written
 * by compare-and-set: a put that the stream refuses is heard as well.
 * @returns once the present values were handed out, a function that ends it.
 */
export async function follow(bus: Bus, { bucket, filter, onValue, onGone }: Followed): Promise<() => void> {
  const kv = await openBucket(bus, bucket);
  const prefix = `$KV.${bucket}.`;
  const present = new Set<string>();
  const heard = new Set<string>();
  const take = (key: string, text: string, revision?: number) => {
    present.add(key);
    onValue(key, text, revision);
  };
  const drop = (key: string) => {
    if (present.delete(key)) onGone?.(key);
  };
  const subscription = bus.nc.subscribe(`${prefix}${filter}`, {
    callback: (error, message) => {
      if (error) return;
      const key = message.subject.slice(prefix.length);
      heard.add(key);
      if (message.headers?.has("KV-Operation")) drop(key);
      else take(key, message.string());
    },
  });
  /** What was read may be older than what was heard in the meantime. */
  const catchUp = async () => {
    heard.clear();
    const values = new Map((await readValues(bus, kv, filter)).map((entry) => [entry.key, entry]));
    for (const [key, entry] of values) if (!heard.has(key)) take(key, entry.string(), entry.revision);
    for (const key of present) if (!values.has(key) && !heard.has(key)) drop(key);
  };
  try {
    // The server has the subscription before anything is read: a value is heard, or read, or both.
    await bus.persist(() => bus.nc.flush());
    await catchUp();
  } catch (error) {
    subscription.unsubscribe();
    throw error;
  }
  const catchUpOnReturn = async () => {
    for await (const { type } of bus.nc.status()) {
      if (subscription.isClosed()) return;
      // Hosts and edges report again within 5 s, should this fail.
      if (type === "reconnect") await catchUp().catch(() => {});
    }
  };
  void catchUpOnReturn();
  return () => subscription.unsubscribe();
}
