import type { BucketEntry } from "../../../../bus/buckets.ts";
import { openBucket } from "../../../../bus/buckets.ts";
import type { BusSession } from "../../../../bus/session.ts";
import type { Deploy } from "../../../../protocol/deploy.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { readDeploy } from "../../../orders/epochs.ts";

/** A service's record, and its entry in the bucket; null where there is none. */
export interface DeployRecord {
  deploy: Deploy;
  entry: BucketEntry | null;
}

export async function fetchRecord(bus: BusSession, service: string): Promise<DeployRecord> {
  const kv = await openBucket(bus, buckets.deploys);
  const entry = await bus.persist(() => kv.get(keys.deploy(service)));
  return { deploy: readDeploy(service, entry), entry };
}
