import type { Bucket } from "../../../../bus/buckets.ts";
import { openBucket } from "../../../../bus/buckets.ts";
import { isConflict } from "../../../../bus/retry.ts";
import type { BusSession } from "../../../../bus/session.ts";
import type { Routes } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { type Malformed, type OnMalformed, ValueMalformedError } from "../../../values/malformed.ts";
import { readRoutes } from "../../../values/read-values.ts";
import { equalRoutes, nextRoutes, type StoredRoutes } from "../../decisions/next-routes.ts";
import type { WantedRoutes } from "../../decisions/wanted-routes.ts";
import { FencedError } from "../../deploy-errors.ts";

/** The routes, for those who show them: routes that can't be read are reported, and count as none. */
export async function fetchRoutes(bus: BusSession, service: string, onMalformed: OnMalformed): Promise<StoredRoutes> {
  return getRoutes(bus, await openBucket(bus, buckets.routes), service, onMalformed);
}

/** The routes, for those who change something. @throws ValueMalformedError: nobody knows what edges make of them */
export async function requireRoutes(bus: BusSession, service: string): Promise<StoredRoutes> {
  return fetchRoutes(bus, service, refuse);
}

function refuse(malformed: Malformed): never {
  throw new ValueMalformedError(malformed);
}

async function getRoutes(
  bus: BusSession,
  kv: Bucket,
  service: string,
  onMalformed: OnMalformed,
): Promise<StoredRoutes> {
  const key = keys.routes(service);
  const entry = await bus.persist(() => kv.get(key));
  if (entry === null || entry.operation !== "PUT") return { routes: null, revision: entry?.revision ?? 0 };
  const read = readRoutes(key, entry.string());
  if ("value" in read) return { routes: read.value, revision: entry.revision };
  onMalformed({ bucket: buckets.routes, key, why: read.broken });
  return { routes: null, revision: entry.revision, isMalformed: true };
}

/**
 * Writes the routes by compare-and-set, under an epoch. Routes that are already as wanted are left alone.
 * @throws FencedError where routes of a later epoch are there
 */
export async function ensureRoutes(
  bus: BusSession,
  service: string,
  wanted: WantedRoutes,
  { epoch, by }: { epoch: number; by: string },
): Promise<{ routes: Routes; revision: number; changed: boolean }> {
  const kv = await openBucket(bus, buckets.routes);
  for (;;) {
    const { routes, revision } = await getRoutes(bus, kv, service, refuse);
    if (routes !== null && routes.epoch > epoch) throw new FencedError(`${service}'s routes`, routes.epoch, epoch);
    const next = { ...nextRoutes(routes, wanted, epoch), updatedBy: by, updatedAt: new Date().toISOString() };
    if (routes !== null && equalRoutes(routes, next) && !wanted.anew) return { routes, revision, changed: false };
    try {
      const value = JSON.stringify(next);
      const put = await bus.persist(() => kv.put(keys.routes(service), value, { previousSeq: revision }));
      return { routes: next, revision: put, changed: true };
    } catch (error) {
      // Somebody else wrote, or the answer to our own write was lost: the next round tells.
      if (!isConflict(error)) throw error;
    }
  }
}
