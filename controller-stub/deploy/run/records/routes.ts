import type { KV } from "@nats-io/kv";
import { isConflict } from "../../../../bus/retry.ts";
import { InternalError } from "../../../../protocol/errors.ts";
import { type Routes, routesSchema } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { openBucket } from "../../../buckets.ts";
import type { Bus } from "../../../bus.ts";
import { equalRoutes, nextRoutes, type StoredRoutes } from "../../decisions/next-routes.ts";
import type { WantedRoutes } from "../../decisions/wanted-routes.ts";
import { FencedError } from "../../deploy-errors.ts";

/** @throws InternalError where they can't be read, since nobody knows what edges make of them */
export async function fetchRoutes(bus: Bus, service: string): Promise<StoredRoutes> {
  return getRoutes(bus, await openBucket(bus, buckets.routes), service);
}

async function getRoutes(bus: Bus, kv: KV, service: string): Promise<StoredRoutes> {
  const entry = await bus.persist(() => kv.get(keys.routes(service)));
  if (entry === null || entry.operation !== "PUT") return { routes: null, revision: entry?.revision ?? 0 };
  try {
    return { routes: routesSchema.parse(entry.json()), revision: entry.revision };
  } catch (cause) {
    throw new InternalError(`the routes of ${service} in ${buckets.routes} can't be read; fix or delete them`, {
      cause,
    });
  }
}

/**
 * Writes the routes by compare-and-set, under an epoch. Routes that are already as wanted are left alone.
 * @throws FencedError where routes of a later epoch are there
 */
export async function ensureRoutes(
  bus: Bus,
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
