import { buckets } from "./subjects.ts";

/** How a bucket is made where it is missing. A bucket that is there keeps the settings that it has. */
export interface BucketSettings {
  description: string;
  /** How many values a key keeps. */
  history: number;
  /** How long a value is kept; 0 is for ever. */
  ttlMs: number;
}

type Bucket = (typeof buckets)[keyof typeof buckets];

const DAY_MS = 24 * 3600 * 1000;

/** Bucket → its settings. All of them are kept in files, with `defaultReplicas` unless an operator says otherwise. */
export const bucketSettings: Readonly<Record<Bucket, BucketSettings>> = {
  [buckets.orders]: { description: "slotd: what each slot is to hold", history: 5, ttlMs: 0 },
  [buckets.deploys]: { description: "slotd: epochs and deploys per service", history: 5, ttlMs: 0 },
  [buckets.routes]: { description: "slotd: which versions are served", history: 5, ttlMs: 0 },
  [buckets.hosts]: { description: "slotd: what each host reports", history: 1, ttlMs: DAY_MS },
  [buckets.edges]: { description: "slotd: what each edge has applied", history: 1, ttlMs: DAY_MS },
  [buckets.serversets]: { description: "slotd: who serves what", history: 1, ttlMs: DAY_MS },
};

/** The object store with release archives. */
export const releaseStoreSettings = { description: "slotd: release archives" } as const;

/** The stream of events, beside what `eventStream` says. The oldest ones go first. */
export const eventStreamSettings = { description: "slotd: what happened", maxBytes: 1024 ** 3 } as const;

export const defaultReplicas = 1;
