import { openBucket } from "../bus/buckets.ts";
import { readValues } from "../bus/list-bucket.ts";
import type { BusSession } from "../bus/session.ts";
import { decode } from "../protocol/decode.ts";
import { type HostStatus, hostStatusSchema } from "../protocol/host-status.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import { followValues } from "./follow.ts";

/** Called with the key of a value that can't be read, and why. */
export type OnMalformed = (key: string, why: string) => void;

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
  const decoded = decode(hostStatusSchema, text);
  if (!("broken" in decoded)) return decoded.value;
  onMalformed(key, decoded.broken);
  return undefined;
}
