import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { nanos } from "@nats-io/transport-node";
import { bucketSettings, eventStreamSettings, releaseStoreSettings } from "../protocol/bucket-settings.ts";
import { eventStream, releaseStore } from "../protocol/subjects.ts";
import { bucketStream } from "./bucket-info.ts";
import type { Kept } from "./kept.ts";

/** Asking for each of so few is cheaper than a list of all streams, and needs no permission to list them. */
const ASKED_ONE_BY_ONE = 3;
const STREAM_NOT_FOUND = 10059;
const STREAM_NAME_IN_USE = 10058;

export interface CreateOptions {
  /** Copies of what is created. */
  replicas: number;
  onCreated?(stream: string): void;
}

/** Creates what is missing. What is there keeps its settings. */
export async function createMissing(
  js: JetStreamClient,
  jsm: JetStreamManager,
  needed: readonly Kept[],
  { replicas, onCreated }: CreateOptions,
): Promise<void> {
  for (const kept of await findMissing(jsm, needed)) {
    try {
      await create(js, jsm, kept, replicas);
      onCreated?.(streamOf(kept));
    } catch (error) {
      // Another program was faster, perhaps with other settings; that is fine.
      if (!hasCode(error, STREAM_NAME_IN_USE)) throw error;
    }
  }
}

async function findMissing(jsm: JetStreamManager, needed: readonly Kept[]): Promise<Kept[]> {
  if (needed.length <= ASKED_ONE_BY_ONE) {
    const missing: Kept[] = [];
    for (const kept of needed) if (!(await exists(jsm, streamOf(kept)))) missing.push(kept);
    return missing;
  }
  const there = new Set<string>();
  for await (const name of jsm.streams.names()) there.add(name);
  return needed.filter((kept) => !there.has(streamOf(kept)));
}

async function exists(jsm: JetStreamManager, stream: string): Promise<boolean> {
  try {
    await jsm.streams.info(stream);
    return true;
  } catch (error) {
    if (hasCode(error, STREAM_NOT_FOUND)) return false;
    throw error;
  }
}

function streamOf(kept: Kept): string {
  if (kept === eventStream.name) return kept;
  return kept === releaseStore ? `OBJ_${kept}` : bucketStream(kept);
}

async function create(js: JetStreamClient, jsm: JetStreamManager, kept: Kept, replicas: number): Promise<void> {
  const storage = StorageType.File;
  if (kept === eventStream.name) {
    await jsm.streams.add({
      name: eventStream.name,
      description: eventStreamSettings.description,
      subjects: [eventStream.subjects],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      storage,
      max_age: nanos(eventStream.maxAgeMs),
      max_bytes: eventStreamSettings.maxBytes,
      num_replicas: replicas,
    });
  } else if (kept === releaseStore) {
    await new Objm(js).create(releaseStore, { ...releaseStoreSettings, replicas, storage });
  } else {
    const { description, history, ttlMs } = bucketSettings[kept];
    await new Kvm(js).create(kept, { description, history, ttl: ttlMs, replicas, storage });
  }
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}
