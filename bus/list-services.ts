import { buckets } from "../protocol/subjects.ts";
import { bucketInfo, keysIn } from "./bucket-info.ts";
import { openBucket } from "./buckets.ts";
import type { BusSession } from "./session.ts";

/** The services that something on the bus is about, by name. Archives don't count: anybody may have published them. */
export async function listServices(bus: BusSession): Promise<string[]> {
  const lists = await Promise.all(
    Object.values(buckets).map(async (bucket) => {
      await openBucket(bus, bucket);
      return keysIn(bucket, await bus.persist(() => bucketInfo(bus.jsm, bucket, ">")));
    }),
  );
  return [...new Set(lists.flat().map((key) => key.split(".")[0] as string))].sort();
}
