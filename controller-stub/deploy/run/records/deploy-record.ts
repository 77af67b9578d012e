import type { BucketEntry } from "../../../../bus/buckets.ts";
import { openBucket } from "../../../../bus/buckets.ts";
import type { BusSession } from "../../../../bus/session.ts";
import type { Deploy } from "../../../../protocol/deploy.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { emptyRecord, readDeploy } from "../../../orders/epochs.ts";
import { type OnMalformed, ValueMalformedError } from "../../../values/malformed.ts";

/** A service's record, and its entry in the bucket; null where there is none. */
export interface DeployRecord {
  deploy: Deploy;
  entry: BucketEntry | null;
}

/** @throws ValueMalformedError where it is not a record */
export async function fetchRecord(bus: BusSession, service: string): Promise<DeployRecord> {
  const kv = await openBucket(bus, buckets.deploys);
  const entry = await bus.persist(() => kv.get(keys.deploy(service)));
  return { deploy: readDeploy(service, entry), entry };
}

/** The record, for those who show it: one that can't be read is reported, and counts as empty. */
export async function showRecord(bus: BusSession, service: string, onMalformed: OnMalformed): Promise<Deploy> {
  try {
    return (await fetchRecord(bus, service)).deploy;
  } catch (error) {
    if (!(error instanceof ValueMalformedError)) throw error;
    onMalformed(error.malformed);
    return emptyRecord(service);
  }
}
