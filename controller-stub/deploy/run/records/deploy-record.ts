import type { KvEntry } from "@nats-io/kv";
import type { Deploy } from "../../../../protocol/deploy.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { openBucket } from "../../../buckets.ts";
import type { Bus } from "../../../bus.ts";
import { readDeploy } from "../../../orders/epochs.ts";

/** A service's record, and its entry in the bucket; null where there is none. */
export interface DeployRecord {
  deploy: Deploy;
  entry: KvEntry | null;
}

export async function fetchRecord(bus: Bus, service: string): Promise<DeployRecord> {
  const kv = await openBucket(bus, buckets.deploys);
  const entry = await bus.persist(() => kv.get(keys.deploy(service)));
  return { deploy: readDeploy(service, entry), entry };
}
