import type { Bucket, BucketEntry } from "../../bus/buckets.ts";
import { openBucket } from "../../bus/buckets.ts";
import { isConflict } from "../../bus/retry.ts";
import type { BusSession } from "../../bus/session.ts";
import type { Deploy } from "../../protocol/deploy.ts";
import type { HostStatus } from "../../protocol/host-status.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { ArgumentError } from "../errors.ts";
import { ValueMalformedError } from "../values/malformed.ts";
import { readRecord } from "../values/read-values.ts";

/** How far a host may be ahead of what is on the bus, as it is where the bus has lost its data. */
const MAX_LEAD = 1_000_000;

/** What the epochs of a service follow from, apart from its record. */
export interface EpochFacts {
  /** The epochs of the orders and the routes: controllers wrote them. */
  issued: readonly number[];
  /** What hosts and edges say that they have seen. */
  claims: readonly EpochClaim[];
}

export interface EpochClaim {
  by: string;
  epoch: number;
}

/** The highest epoch that each host has seen. */
export function claimsOf(statuses: readonly HostStatus[]): EpochClaim[] {
  return statuses.map(({ host, slots }) => ({
    by: host,
    epoch: Object.values(slots).reduce((highest, slot) => Math.max(highest, slot.epoch), 0),
  }));
}

/**
 * The highest epoch of a service, and the claims of one far beyond: they don't count, since a host must not be able to
 * use up the epochs that are left.
 * @param recorded the epoch in the record of the service
 */
export function highestEpoch(
  { issued, claims }: EpochFacts,
  recorded: number,
): { epoch: number; beyond: EpochClaim[] } {
  const known = issued.reduce((a, b) => Math.max(a, b), recorded);
  const isBeyond = ({ epoch }: EpochClaim) => epoch > known + MAX_LEAD;
  const epoch = claims.reduce((a, claim) => (isBeyond(claim) ? a : Math.max(a, claim.epoch)), known);
  return { epoch, beyond: claims.filter(isBeyond) };
}

/** Names those whose epochs did not count. */
export function warnOfEpochs(output: { warn(text: string): void }, facts: EpochFacts, recorded: number): void {
  for (const { by, epoch } of highestEpoch(facts, recorded).beyond)
    output.warn(`${by} claims epoch ${epoch}, far beyond ${recorded}: that is not believed, and it may refuse orders`);
}

/** Takes the next epoch of a service, higher than any before. Two controllers never get the same. */
export function nextEpoch(bus: BusSession, service: string, facts: EpochFacts): Promise<number> {
  return advance(bus, service, (last) => highestEpoch(facts, last).epoch + 1);
}

/**
 * Records an epoch that was chosen by hand, so that the next one is higher.
 * @throws ArgumentError where it would use up the epochs that are left
 */
export async function noteEpoch(bus: BusSession, service: string, epoch: number, facts: EpochFacts): Promise<void> {
  await advance(bus, service, (last) => {
    const most = highestEpoch(facts, last).epoch + MAX_LEAD;
    if (epoch > most) throw new ArgumentError("--epoch", `must be at most ${most}`);
    return Math.max(last, epoch);
  });
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

/** The record of a service for which nothing was recorded. */
export function emptyRecord(service: string, epoch = 0): Deploy {
  return { service, epoch, lock: null, deploy: null, revisions: [] };
}

/** @throws ValueMalformedError where it is not a record */
export function readDeploy(service: string, entry: BucketEntry | null): Deploy {
  if (entry === null || entry.operation !== "PUT") return emptyRecord(service);
  const read = readRecord(service, entry.string());
  if ("value" in read) return read.value;
  throw new ValueMalformedError({ bucket: buckets.deploys, key: keys.deploy(service), why: read.broken });
}
