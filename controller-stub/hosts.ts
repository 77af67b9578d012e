import { type HostStatus, hostStatusSchema } from "../protocol/host-status.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import { openBucket, readValues } from "./buckets.ts";
import type { Bus } from "./bus.ts";
import { follow } from "./follow.ts";

/** A host that has not reported for this long may be gone: agents report every 5 s. */
export const staleAfterMs = 15_000;

/** How old a status is by this machine's clock; never less than nothing, since clocks differ. */
export function reportAgeMs(status: HostStatus, now: number): number {
  return Math.max(0, now - Date.parse(status.observedAt));
}

export function isStale(status: HostStatus, now: number): boolean {
  return reportAgeMs(status, now) > staleAfterMs;
}

export type OnMalformed = (key: string, why: string) => void;

/** What each host of a service last reported, by host. */
export async function readStatuses(bus: Bus, service: string, onMalformed: OnMalformed): Promise<HostStatus[]> {
  const kv = await openBucket(bus, buckets.hosts);
  const entries = await readValues(bus, kv, keys.host(service, "*"));
  const statuses = entries.map((entry) => parseStatus(entry.key, entry.string(), onMalformed));
  return statuses.filter((status) => status !== undefined).sort((a, b) => (a.host < b.host ? -1 : 1));
}

/**
 * Calls back with what each host reports: first the present statuses, then each as it is written.
 * @returns once the present statuses were handed out, a function that ends it.
 */
export function followStatuses(
  bus: Bus,
  service: string,
  onStatus: (status: HostStatus) => void,
  onMalformed: OnMalformed,
): Promise<() => void> {
  return follow(bus, {
    bucket: buckets.hosts,
    filter: keys.host(service, "*"),
    onValue: (key, text) => {
      const status = parseStatus(key, text, onMalformed);
      if (status !== undefined) onStatus(status);
    },
  });
}

function parseStatus(key: string, text: string, onMalformed: OnMalformed): HostStatus | undefined {
  try {
    const parsed = hostStatusSchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    onMalformed(key, `${issue?.path.join(".")}: ${issue?.message}`);
  } catch {
    onMalformed(key, "is not JSON");
  }
  return undefined;
}
