import { openBucket } from "../bus/buckets.ts";
import { readValues } from "../bus/list-bucket.ts";
import type { BusSession } from "../bus/session.ts";
import type { HostStatus } from "../protocol/host-status.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import { followValues } from "./follow.ts";
import type { OnMalformed } from "./values/malformed.ts";
import { readStatus } from "./values/read-values.ts";

/** The last status of each host of a service, by name. */
export async function fetchStatuses(bus: BusSession, service: string, onMalformed: OnMalformed): Promise<HostStatus[]> {
  const kv = await openBucket(bus, buckets.hosts);
  const entries = await readValues(bus, kv, keys.host(service, "*"));
  const statuses = entries.map((entry) => parseStatus(entry.key, entry.string(), onMalformed));
  return statuses.filter((status) => status !== undefined).sort((a, b) => (a.host < b.host ? -1 : 1));
}

/**
 * Calls back with the present status of each host, then with each new one.
 * @returns a function that ends it, once all present statuses were handed out
 */
export function followStatuses(
  bus: BusSession,
  service: string,
  onStatus: (status: HostStatus) => void,
  onMalformed: OnMalformed,
): Promise<() => void> {
  return followValues(bus, {
    bucket: buckets.hosts,
    filter: keys.host(service, "*"),
    onValue: (key, text) => {
      const status = parseStatus(key, text, onMalformed);
      if (status !== undefined) onStatus(status);
    },
  });
}

function parseStatus(key: string, text: string, onMalformed: OnMalformed): HostStatus | undefined {
  const read = readStatus(key, text);
  const about = { bucket: buckets.hosts, key };
  if ("broken" in read) {
    onMalformed({ ...about, why: read.broken });
    return undefined;
  }
  for (const why of read.leftOut) onMalformed({ ...about, why, inPart: true });
  return read.value;
}
