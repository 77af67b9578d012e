import { type HostStatus, hostStatusSchema } from "../protocol/host-status.ts";
import { buckets, keys } from "../protocol/subjects.ts";
import { openBucket, readValues } from "./buckets.ts";
import type { Bus } from "./bus.ts";

/** A host that has not reported for this long may be gone: agents report every 5 s. */
export const staleAfterMs = 15_000;

/** How old a status is by this machine's clock; never less than nothing, since clocks differ. */
export function ageMs(status: HostStatus, now: number): number {
  return Math.max(0, now - Date.parse(status.observedAt));
}

export function isStale(status: HostStatus, now: number): boolean {
  return ageMs(status, now) > staleAfterMs;
}

type OnMalformed = (key: string, why: string) => void;

/** What each host of a service last reported, by host. */
export async function readStatuses(bus: Bus, service: string, onMalformed: OnMalformed): Promise<HostStatus[]> {
  const kv = await openBucket(bus, buckets.hosts);
  const entries = await readValues(bus, kv, keys.host(service, "*"));
  const statuses = entries.map((entry) => parseStatus(entry.key, entry.string(), onMalformed));
  return statuses.filter((status) => status !== undefined).sort((a, b) => (a.host < b.host ? -1 : 1));
}

/**
 * Calls back with what each host reports: first the present statuses, then each as it is written. Puts into a bucket are ordinary
 * messages, so no consumer is kept on the server; what a lost connection swallowed is read again when it is back.
 * @returns once the present statuses were handed out, a function that ends it.
 */
export async function followStatuses(
  bus: Bus,
  service: string,
  onStatus: (status: HostStatus) => void,
  onMalformed: OnMalformed,
): Promise<() => void> {
  const prefix = `$KV.${buckets.hosts}.`;
  const heard = new Set<string>();
  const subscription = bus.nc.subscribe(`${prefix}${keys.host(service, "*")}`, {
    callback: (error, message) => {
      if (error || message.headers?.has("KV-Operation")) return;
      const status = parseStatus(message.subject.slice(prefix.length), message.string(), onMalformed);
      if (status === undefined) return;
      heard.add(status.host);
      onStatus(status);
    },
  });
  /** What was read may be older than what was heard in the meantime. */
  const catchUp = async () => {
    heard.clear();
    const statuses = await readStatuses(bus, service, onMalformed);
    for (const status of statuses) if (!heard.has(status.host)) onStatus(status);
  };
  // The server has the subscription before anything is read: a status is heard, or read, or both.
  await bus.persist(() => bus.nc.flush());
  const catchUpOnReturn = async () => {
    for await (const { type } of bus.nc.status()) {
      // The agents report again within 5 s, should this fail.
      if (type === "reconnect" && !subscription.isClosed()) await catchUp().catch(() => {});
    }
  };
  await catchUp();
  void catchUpOnReturn();
  return () => subscription.unsubscribe();
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
