import { DiscardPolicy, JetStreamApiError, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { KV, KvEntry } from "@nats-io/kv";
import type { ObjectStore } from "@nats-io/obj";
import { nanos, TimeoutError } from "@nats-io/transport-node";
import { bucketSettings, eventStreamSettings, releaseStoreSettings } from "../protocol/bucket-settings.ts";
import { buckets, eventStream, releaseStore } from "../protocol/subjects.ts";
import type { Bus } from "./bus.ts";

type Bucket = keyof typeof bucketSettings;

const STREAM_NOT_FOUND = 10059;
const STREAM_NAME_IN_USE = 10058;

/** The buckets that were found on a connection: nobody looks for them twice. */
const found = new WeakMap<Bus["nc"], Map<Bucket, KV>>();

/** The bucket, made where it is missing. One that is there is used as it is. Reads go to its leader. */
export async function openBucket(bus: Bus, name: Bucket): Promise<KV> {
  const known = found.get(bus.nc) ?? new Map<Bucket, KV>();
  found.set(bus.nc, known);
  const kv = known.get(name) ?? (await findOrMake(bus, name));
  known.set(name, kv);
  return kv;
}

function findOrMake(bus: Bus, name: Bucket): Promise<KV> {
  return bus.persist(async () => {
    const kv = await bus.kvm.open(name);
    await openOrCreate(
      () => kv.status(),
      () => {
        const { description, history, ttlMs } = bucketSettings[name];
        const storage = StorageType.File;
        return bus.kvm.create(name, { description, history, ttl: ttlMs, storage, replicas: bus.replicas });
      },
    );
    return kv;
  });
}

/** The object store with release archives, made where it is missing. */
export function openReleases(bus: Bus): Promise<ObjectStore> {
  return bus.persist(async () => {
    const { description } = releaseStoreSettings;
    await openOrCreate(
      () => bus.jsm.streams.info(`OBJ_${releaseStore}`),
      () => bus.objm.create(releaseStore, { description, storage: StorageType.File, replicas: bus.replicas }),
    );
    return bus.objm.open(releaseStore);
  });
}

/** The stream of events, made where it is missing. */
export async function ensureEventStream(bus: Bus): Promise<void> {
  const { description, maxBytes } = eventStreamSettings;
  await bus.persist(() =>
    openOrCreate(
      () => bus.jsm.streams.info(eventStream.name),
      () =>
        bus.jsm.streams.add({
          name: eventStream.name,
          description,
          subjects: [eventStream.subjects],
          retention: RetentionPolicy.Limits,
          discard: DiscardPolicy.Old,
          storage: StorageType.File,
          max_age: nanos(eventStream.maxAgeMs),
          max_bytes: maxBytes,
          num_replicas: bus.replicas,
        }),
    ),
  );
}

/** Everything that slotd keeps on the bus. */
export async function ensureAll(bus: Bus): Promise<string[]> {
  const names = Object.values(buckets);
  await Promise.all([...names.map((name) => openBucket(bus, name)), openReleases(bus), ensureEventStream(bus)]);
  return [...names, releaseStore, eventStream.name];
}

async function openOrCreate(open: () => Promise<unknown>, create: () => Promise<unknown>): Promise<void> {
  try {
    await open();
  } catch (error) {
    if (!hasCode(error, STREAM_NOT_FOUND)) throw error;
    await create().catch((failure) => {
      // Another one made it in the meantime, with settings of its own.
      if (!hasCode(failure, STREAM_NAME_IN_USE)) throw failure;
    });
  }
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}

/** What the keys under a filter hold, oldest write first; several values of a key where the bucket keeps a history. */
export function readEntries(bus: Bus, kv: KV, filter: string): Promise<KvEntry[]> {
  return bus.persist(async () => {
    const { missing, last } = await whatIsThere(bus, kv, filter);
    const iterator = await kv.history({ key: filter });
    let late = false;
    // The bound starts anew with every value, so that a large bucket is not taken for a dead bus.
    const timer = setTimeout(
      () => {
        late = true;
        iterator.stop();
      },
      Math.max(bus.timeoutMs, 7000),
    );
    const entries: KvEntry[] = [];
    try {
      for await (const entry of iterator) {
        timer.refresh();
        entries.push(entry);
        missing.delete(entry.key);
        // Where values are written over while they are read, as hosts' reports are all the time, the server counts too many or too few
        // that are to come: the client's own end would be reached too late, if at all, or too early.
        if (entry.revision >= last && missing.size === 0) break;
      }
    } finally {
      clearTimeout(timer);
      iterator.stop();
    }
    if (late || missing.size > 0) throw new TimeoutError();
    return entries;
  });
}

/** The keys under a filter, and the last revision of the bucket. */
async function whatIsThere(bus: Bus, kv: KV, filter: string): Promise<{ missing: Set<string>; last: number }> {
  const { bucket, streamInfo } = await kv.status();
  const prefix = `$KV.${bucket}.`;
  const { state } = await bus.jsm.streams.info(streamInfo.config.name, { subjects_filter: `${prefix}${filter}` });
  const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
  return { missing: new Set(keys), last: state.last_seq };
}

/** The present value of each key under a filter. */
export async function readValues(bus: Bus, kv: KV, filter: string): Promise<KvEntry[]> {
  const latest = new Map<string, KvEntry>();
  for (const entry of await readEntries(bus, kv, filter)) latest.set(entry.key, entry);
  return [...latest.values()].filter((entry) => entry.operation === "PUT");
}
