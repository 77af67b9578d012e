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

/** The keys that hold a value, by what is heard and what is read. */
class FollowedKeys {
  private readonly present = new Set<string>();
  /** For each read in progress: the keys that were heard since it began. */
  private readonly heardDuring = new Set<Set<string>>();

  constructor(
    private readonly handlers: Pick<Followed, "onValue" | "onGone">,
    private readonly fetchEntries: () => Promise<{ key: string; revision: number; string(): string }[]>,
  ) {}

  onPut(key: string, text: string | null): void {
    for (const heard of this.heardDuring) heard.add(key);
    if (text === null) this.drop(key);
    else this.set(key, text);
  }

  /** Reads all keys. A value that was heard meanwhile is newer than the one that was read. */
  async read(): Promise<void> {
    const heard = new Set<string>();
    this.heardDuring.add(heard);
    const entries = await this.fetchEntries().finally(() => this.heardDuring.delete(heard));
    const values = new Map(entries.map((entry) => [entry.key, entry]));
    for (const [key, entry] of values) if (!heard.has(key)) this.set(key, entry.string(), entry.revision);
    for (const key of this.present) if (!values.has(key) && !heard.has(key)) this.drop(key);
  }

  private set(key: string, text: string, revision?: number): void {
    this.present.add(key);
    this.handlers.onValue(key, text, revision);
  }

  private drop(key: string): void {
    if (this.present.delete(key)) this.handlers.onGone?.(key);
  }
}

/**
 * Calls back with what keys hold: first the present values, then each as it is written. What is heard counts as the
 * value, so this is for buckets that are not written by compare-and-set: hosts and edges report every few seconds.
 * @returns once the present values were handed out, a function that ends it.
 */
export async function followValues(bus: BusSession, followed: Followed): Promise<() => void> {
  const { bucket, filter } = followed;
  const kv = await openBucket(bus, bucket);
  const keys = new FollowedKeys(followed, () => readValues(bus, kv, filter));
  const follower = new KeyFollower(bus.followed, bucket, filter, keys, SILENT);
  follower.start();
  try {
    // The server has the subscription before anything is read: a value is heard, or read, or both.
    await bus.persist(() => bus.nc.flush());
    await keys.read();
  } catch (error) {
    follower.stop();
    throw error;
  }
  return () => follower.stop();
}
