import type { KV, KvEntry } from "@nats-io/kv";
import type { ObjectStore } from "@nats-io/obj";
import { eventStream, releaseStore } from "../protocol/subjects.ts";
import { createMissing } from "./create-missing.ts";
import { type BucketName, everythingKept, type Kept } from "./kept.ts";
import type { BusSession } from "./session.ts";

export type { KV as Bucket, KvEntry as BucketEntry };

/** The buckets that were found on a connection: nobody looks for them twice. */
const found = new WeakMap<BusSession["nc"], Map<BucketName, KV>>();

/** The bucket, made where it is missing. One that is there is used as it is. Reads go to its leader. */
export async function openBucket(bus: BusSession, name: BucketName): Promise<KV> {
  const known = found.get(bus.nc) ?? new Map<BucketName, KV>();
  found.set(bus.nc, known);
  const kv = known.get(name) ?? (await findOrMake(bus, name));
  known.set(name, kv);
  return kv;
}

function findOrMake(bus: BusSession, name: BucketName): Promise<KV> {
  return bus.persist(async () => {
    await ensure(bus, name);
    return bus.kvm.open(name);
  });
}

/** The object store with release archives, made where it is missing. */
export function openReleases(bus: BusSession): Promise<ObjectStore> {
  return bus.persist(async () => {
    await ensure(bus, releaseStore);
    return bus.objm.open(releaseStore);
  });
}

/** The stream of events, made where it is missing. */
export async function ensureEventStream(bus: BusSession): Promise<void> {
  await bus.persist(() => ensure(bus, eventStream.name));
}

/** Everything that slotd keeps on the bus. */
export async function ensureAll(bus: BusSession): Promise<readonly string[]> {
  await Promise.all(everythingKept.map((kept) => bus.persist(() => ensure(bus, kept))));
  return everythingKept;
}

function ensure({ js, jsm, replicas }: BusSession, kept: Kept): Promise<void> {
  return createMissing(js, jsm, [kept], { replicas });
}
