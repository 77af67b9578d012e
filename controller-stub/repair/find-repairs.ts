import { type BucketEntry, openBucket } from "../../bus/buckets.ts";
import type { BucketName } from "../../bus/kept.ts";
import { readEntries } from "../../bus/list-bucket.ts";
import type { BusSession } from "../../bus/session.ts";
import { nameSchema } from "../../protocol/names.ts";
import { buckets } from "../../protocol/subjects.ts";
import { emptyRecord } from "../orders/epochs.ts";
import type { Malformed } from "../values/malformed.ts";
import {
  type Read,
  readEdge,
  readOrder,
  readRecord,
  readRegistration,
  readRoutes,
  readStatus,
} from "../values/read-values.ts";

/** A malformed value, and what replaces it. */
export interface Repair extends Malformed {
  /** The KV revision of the malformed value: one that was replaced meanwhile is left alone. */
  revision: number;
  /** What the key gets; null: it is deleted. */
  value: string | null;
  /** What that means, as the end of a sentence. */
  fix: string;
}

/** How a bucket's values are read, and what becomes of one that can't be. */
interface Rule {
  read(key: string, text: string): Read<unknown>;
  /** How many names a key has, with the service. */
  names: number;
  deleted: string;
  /** Whether controllers write it. Only then are earlier values kept that could come back. */
  restored?: string;
}

const RULES: Readonly<Record<BucketName, Rule>> = {
  [buckets.deploys]: { read: readRecord, names: 1, deleted: "", restored: "the record before it comes back" },
  [buckets.routes]: {
    ...{ read: readRoutes, names: 1, restored: "the routes before them come back, as edges still apply them" },
    deleted: "they are deleted, since none are known from before; edges keep the last that they could read",
  },
  [buckets.orders]: {
    ...{ read: readOrder, names: 3, restored: "the order before it comes back" },
    deleted: "it is deleted; the slot keeps what it holds",
  },
  [buckets.hosts]: { read: readStatus, names: 2, deleted: "it is deleted; a living agent reports again within 5 s" },
  [buckets.edges]: { read: readEdge, names: 2, deleted: "it is deleted; a living edge reports again within 5 s" },
  [buckets.serversets]: {
    ...{ read: readRegistration, names: 4 },
    deleted: "it is deleted; a living agent registers again within 5 s",
  },
};

/** What is malformed of a service, in every bucket, and how it would be fixed. Changes nothing. */
export async function findRepairs(bus: BusSession, service: string): Promise<Repair[]> {
  const found: Repair[] = [];
  const issued: number[] = [];
  for (const bucket of Object.values(buckets)) {
    const kv = await openBucket(bus, bucket);
    const lists = await Promise.all([service, `${service}.>`].map((filter) => readEntries(bus, kv, filter)));
    for (const values of byKey(lists.flat()).values()) {
      issued.push(...epochsIn(bucket, values));
      const repair = repairOf(bucket, values);
      if (repair !== null) found.push(repair);
    }
  }
  return found.map((repair) => (repair.bucket === buckets.deploys ? startOver(service, repair, issued) : repair));
}

/** Each key's values, oldest first. */
function byKey(entries: readonly BucketEntry[]): Map<string, BucketEntry[]> {
  const all = new Map<string, BucketEntry[]>();
  for (const entry of entries) all.set(entry.key, [...(all.get(entry.key) ?? []), entry]);
  return all;
}

function repairOf(bucket: BucketName, values: readonly BucketEntry[]): Repair | null {
  const last = values.at(-1);
  if (last === undefined || last.operation !== "PUT") return null;
  const { key, revision } = last;
  const { read, names, deleted, restored } = RULES[bucket];
  const about = { bucket, key, revision };
  const parts = key.split(".");
  if (parts.length !== names || !parts.every((part) => nameSchema.safeParse(part).success))
    return { ...about, why: "it is no key of this bucket", value: null, fix: "it is deleted" };
  const text = last.string();
  const now = read(key, text);
  if ("value" in now) return null;
  const good =
    restored && values.findLast((entry) => entry.operation === "PUT" && "value" in read(key, entry.string()));
  if (good) return { ...about, why: now.broken, value: good.string(), fix: restored };
  return { ...about, why: now.broken, value: null, fix: deleted };
}

/** The epochs that controllers are known to have issued. */
function epochsIn(bucket: BucketName, values: readonly BucketEntry[]): number[] {
  if (bucket !== buckets.orders && bucket !== buckets.routes) return [];
  return values.flatMap((entry) => {
    const read = RULES[bucket].read(entry.key, entry.string());
    return "value" in read ? [(read.value as { epoch: number }).epoch] : [];
  });
}

/** A record that has no good one before it begins again, above all epochs that were issued. */
function startOver(service: string, repair: Repair, issued: readonly number[]): Repair {
  if (repair.value !== null || repair.key !== service) return repair;
  const epoch = issued.reduce((a, b) => Math.max(a, b), 0);
  const value = JSON.stringify(emptyRecord(service, epoch));
  return { ...repair, value, fix: `it starts over at epoch ${epoch}: earlier deploys are no longer known` };
}
