import { JetStreamApiError, type JetStreamClient, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Logger } from "pino";
import { bucketSettings, eventStreamSettings, releaseStoreSettings } from "../protocol/bucket-settings.ts";
import { eventStream, releaseStore } from "../protocol/subjects.ts";

/** Creates the buckets, the object store and the stream that are missing. Those that are there keep their settings. */
export async function createMissing(
  nc: NatsConnection,
  js: JetStreamClient,
  replicas: number,
  log: Logger,
): Promise<void> {
  const manager = await js.jetstreamManager();
  const streams = new Set<string>();
  for await (const name of manager.streams.names()) streams.add(name);
  const missing = (stream: string, create: () => Promise<unknown>) =>
    streams.has(stream) ? Promise.resolve() : createOne(stream, create, log);

  const kvm = new Kvm(js);
  const storage = StorageType.File;
  for (const [bucket, { description, history, ttlMs }] of Object.entries(bucketSettings)) {
    await missing(`KV_${bucket}`, () => kvm.create(bucket, { description, history, ttl: ttlMs, replicas, storage }));
  }
  await missing(`OBJ_${releaseStore}`, () =>
    new Objm(nc).create(releaseStore, { ...releaseStoreSettings, replicas, storage }),
  );
  await missing(eventStream.name, () =>
    manager.streams.add({
      name: eventStream.name,
      description: eventStreamSettings.description,
      subjects: [eventStream.subjects],
      retention: RetentionPolicy.Limits,
      max_age: eventStream.maxAgeMs * 1_000_000,
      max_bytes: eventStreamSettings.maxBytes,
      num_replicas: replicas,
      storage,
    }),
  );
}

const NAME_IN_USE = 10058;

async function createOne(stream: string, create: () => Promise<unknown>, log: Logger): Promise<void> {
  try {
    await create();
    log.info({ stream }, "stream created on the bus");
  } catch (error) {
    // Somebody else was faster, with other settings; that is fine.
    if (!(error instanceof JetStreamApiError && error.code === NAME_IN_USE)) throw error;
  }
}
