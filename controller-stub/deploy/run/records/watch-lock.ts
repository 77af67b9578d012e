import { listenToKeys } from "../../../../bus/listen.ts";
import type { BusSession } from "../../../../bus/session.ts";
import type { Deploy } from "../../../../protocol/deploy.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { HeldByError } from "../../deploy-errors.ts";
import { ChangeSignal, untilChange } from "../watch/change-signal.ts";
import { fetchRecord } from "./deploy-record.ts";

type Held = NonNullable<Deploy["lock"]>;

/**
 * Watches a lock for the length of its lease, by this machine's monotonic clock.
 * @returns the lock, if it was not renewed and may be taken over; null if it is free
 * @throws HeldByError as soon as it is renewed
 */
export async function watchLock(
  bus: BusSession,
  service: string,
  onWait: (lock: Held) => void,
): Promise<Deploy["lock"]> {
  const changes = new ChangeSignal();
  const unlisten = listenToKeys(bus.nc, buckets.deploys, keys.deploy(service), { onPut: () => changes.emit() });
  try {
    await bus.persist(() => bus.nc.flush());
    const { lock } = (await fetchRecord(bus, service)).deploy;
    if (lock === null) return null;
    onWait(lock);
    let seen: Deploy["lock"] = lock;
    let reading = Promise.resolve();
    const read = async () => {
      seen = (await fetchRecord(bus, service)).deploy.lock;
      verdict.emit();
    };
    const verdict = new ChangeSignal();
    // A put is only a hint: one that the stream refused is heard, too.
    changes.onChange(() => {
      reading = reading.then(read, read);
    });
    const isRenewed = () => seen === null || seen.token !== lock.token || seen.renewals !== lock.renewals;
    await untilChange(verdict, () => isRenewed() || undefined, { timeoutMs: lock.leaseMs, signal: bus.signal });
    await reading.catch(() => {});
    await read();
    if (isRenewed() && seen !== null) throw new HeldByError(service, seen, { renewed: true });
    return seen;
  } finally {
    unlisten();
  }
}
