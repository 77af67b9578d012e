import { JetStreamApiError, type JetStreamManager, StorageType } from "@nats-io/jetstream";
import type { Kvm } from "@nats-io/kv";
import type { Logger } from "pino";
import { bucketSettings } from "../../protocol/bucket-settings.ts";
import { buckets } from "../../protocol/subjects.ts";

/** What an edge reads and writes. */
const NEEDED = [buckets.serversets, buckets.routes, buckets.edges] as const;
const NAME_IN_USE = 10058;
const NOT_FOUND = 10059;

/** Creates the buckets that an edge needs and that are missing. Those that are there keep their settings. */
export async function createMissing(manager: JetStreamManager, kvm: Kvm, replicas: number, log: Logger): Promise<void> {
  for (const bucket of NEEDED) {
    if (await exists(manager, bucket)) continue;
    const { description, history, ttlMs } = bucketSettings[bucket];
    try {
      await kvm.create(bucket, { description, history, ttl: ttlMs, replicas, storage: StorageType.File });
      log.info({ bucket }, "bucket created on the bus");
    } catch (error) {
      // Somebody else was faster, with other settings; that is fine.
      if (!hasCode(error, NAME_IN_USE)) throw error;
    }
  }
}

async function exists(manager: JetStreamManager, bucket: string): Promise<boolean> {
  try {
    await manager.streams.info(`KV_${bucket}`);
    return true;
  } catch (error) {
    if (hasCode(error, NOT_FOUND)) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}
