import { openBucket } from "../bus/buckets.ts";
import { KeyFollower } from "../bus/follow-keys.ts";
import { readValues } from "../bus/list-bucket.ts";
import type { BusSession } from "../bus/session.ts";
import type { buckets } from "../protocol/subjects.ts";

export interface Followed {
  bucket: (typeof buckets)[keyof typeof buckets];
  /** The keys, with wildcards. */
  filter: string;
  /** A key's value; `revision` is known only of what was read, not of what was heard. */
  onValue(key: string, text: string, revision?: number): void;
  /** A key was deleted. */
  onGone?(key: string): void;
}

/** The session ends with its command: what could not be read at some moment is not worth a line. */
const SILENT = { debug: () => {}, warn: () => {} };

/**
 * Calls back with what keys hold: first the present values, then each as it is written. What is heard counts as the
 * value, so this is for buckets that are not written by compare-and-set: hosts and edges report every few seconds.
 * @returns once the present values were handed out, a function that ends it.
 */
export async function followValues(
  bus: BusSession,
  { bucket, filter, onValue, onGone }: Followed,
): Promise<() => void> {
  const kv = await openBucket(bus, bucket);
  const present = new Set<string>();
  /** Of each read that is under way: the keys that were heard since it began. */
  const reads = new Set<Set<string>>();
  const take = (key: string, text: string, revision?: number) => {
    present.add(key);
    onValue(key, text, revision);
  };
  const drop = (key: string) => {
    if (present.delete(key)) onGone?.(key);
  };
  const reader = {
    onPut: (key: string, text: string | null) => {
      for (const heard of reads) heard.add(key);
      if (text === null) drop(key);
      else take(key, text);
    },
    /** What was read may be older than what was heard in the meantime. */
    read: async () => {
      const heard = new Set<string>();
      reads.add(heard);
      const entries = await readValues(bus, kv, filter).finally(() => reads.delete(heard));
      const values = new Map(entries.map((entry) => [entry.key, entry]));
      for (const [key, entry] of values) if (!heard.has(key)) take(key, entry.string(), entry.revision);
      for (const key of present) if (!values.has(key) && !heard.has(key)) drop(key);
    },
  };
  const follower = new KeyFollower(bus.followed, bucket, filter, reader, SILENT);
  follower.start();
  try {
    // The server has the subscription before anything is read: a value is heard, or read, or both.
    await bus.persist(() => bus.nc.flush());
    await reader.read();
  } catch (error) {
    follower.stop();
    throw error;
  }
  return () => follower.stop();
}
