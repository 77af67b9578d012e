import { openBucket } from "../../bus/buckets.ts";
import { removeKey } from "../../bus/remove-key.ts";
import { isConflict } from "../../bus/retry.ts";
import type { BusSession } from "../../bus/session.ts";
import type { Repair } from "./find-repairs.ts";

/** Replaces a malformed value. @returns false where somebody else has replaced it meanwhile */
export async function applyRepair(bus: BusSession, { bucket, key, value, revision }: Repair): Promise<boolean> {
  try {
    if (value === null) await removeKey(bus, bucket, key, revision);
    else {
      const kv = await openBucket(bus, bucket);
      await bus.persist(() => kv.put(key, value, { previousSeq: revision }));
    }
    return true;
  } catch (error) {
    if (isConflict(error)) return false;
    throw error;
  }
}
