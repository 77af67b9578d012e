import type { Bucket, BucketEntry } from "../../bus/buckets.ts";
import { openBucket } from "../../bus/buckets.ts";
import { isConflict } from "../../bus/retry.ts";
import type { BusSession } from "../../bus/session.ts";
import { decode, maxDeployChars } from "../../protocol/decode.ts";
import { type Deploy, deploySchema } from "../../protocol/deploy.ts";
import { InternalError } from "../../protocol/errors.ts";
import type { HostStatus } from "../../protocol/host-status.ts";
import type { Order } from "../../protocol/order.ts";
import { buckets, keys } from "../../protocol/subjects.ts";

/** The highest epoch in a service's orders and on its hosts. */
export function highestEpoch(orders: readonly Order[], statuses: readonly HostStatus[]): number {
  const onHosts = statuses.flatMap((status) => Object.values(status.slots).map((slot) => slot.epoch));
  return [...orders.map((order) => order.epoch), ...onHosts].reduce((a, b) => Math.max(a, b), 0);
}

/** Takes the next epoch of a service, higher than any before and than `floor`. Two controllers never get the same. */
export function nextEpoch(bus: BusSession, service: string, floor: number): Promise<number> {
  return advance(bus, service, (last) => Math.max(last, floor) + 1);
}

/** Records an epoch that was chosen by hand, so that the next one is higher. */
export async function noteEpoch(bus: BusSession, service: string, epoch: number): Promise<void> {
  await advance(bus, service, (last) => Math.max(last, epoch));
}

async function advance(bus: BusSession, service: string, choose: (last: number) => number): Promise<number> {
  const kv = await openBucket(bus, buckets.deploys);
  const key = keys.deploy(service);
  for (;;) {
    const entry = await bus.persist(() => kv.get(key));
    const deploy = readDeploy(service, entry);
    const epoch = choose(deploy.epoch);
    if (epoch === deploy.epoch) return epoch;
    // A write whose answer was lost looks like a conflict. The next round takes another epoch, and one stays unused.
    try {
      await bus.persist(() => writeDeploy(kv, key, { ...deploy, epoch }, entry));
      return epoch;
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
}

/** @throws a conflict (see `isConflict`) where somebody wrote since `over` was read */
export function writeDeploy(kv: Bucket, key: string, deploy: Deploy, over: BucketEntry | null): Promise<number> {
  const value = JSON.stringify(deploy);
  return over === null ? kv.create(key, value) : kv.update(key, value, over.revision);
}

/** @throws InternalError where it is not a record */
export function readDeploy(service: string, entry: BucketEntry | null): Deploy {
  if (entry === null || entry.operation !== "PUT") {
    return { service, epoch: 0, lock: null, deploy: null, revisions: [] };
  }
  const decoded = decode(deploySchema, entry.string(), maxDeployChars);
  if ("value" in decoded) return decoded.value;
  const why = `the record of ${service} in ${buckets.deploys} can't be read (${decoded.broken})`;
  throw new InternalError(`${why}; fix it, or delete it to start over`);
}
