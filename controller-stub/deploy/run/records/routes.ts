import type { Bucket } from "../../../../bus/buckets.ts";
import { openBucket } from "../../../../bus/buckets.ts";
import { isConflict } from "../../../../bus/retry.ts";
import type { BusSession } from "../../../../bus/session.ts";
import { decode } from "../../../../protocol/decode.ts";
import { InternalError } from "../../../../protocol/errors.ts";
import { type Routes, routesSchema } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { equalRoutes, nextRoutes, type StoredRoutes } from "../../decisions/next-routes.ts";
import type { WantedRoutes } from "../../decisions/wanted-routes.ts";
import { FencedError } from "../../deploy-errors.ts";

/** @throws InternalError where they can't be read, since nobody knows what edges make of them */
export async function fetchRoutes(bus: BusSession, service: string): Promise<StoredRoutes> {
  return getRoutes(bus, await openBucket(bus, buckets.routes), service);
}

async function getRoutes(bus: BusSession, kv: Bucket, service: string): Promise<StoredRoutes> {
  const entry = await bus.persist(() => kv.get(keys.routes(service)));
  if (entry === null || entry.operation !== "PUT") return { routes: null, revision: entry?.revision ?? 0 };
  const decoded = decode(routesSchema, entry.string());
  if ("value" in decoded) return { routes: decoded.value, revision: entry.revision };
  const why = `the routes of ${service} in ${buckets.routes} can't be read (${decoded.broken})`;
  throw new InternalError(`${why}; fix or delete them`);
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
    const { routes, revision } = await getRoutes(bus, kv, service);
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
