import type { KV } from "@nats-io/kv";
import { isConflict } from "../../../../bus/retry.ts";
import { InternalError } from "../../../../protocol/errors.ts";
import { type Routes, routesSchema } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { openBucket } from "../../../buckets.ts";
import type { Bus } from "../../../bus.ts";
import { FencedError } from "../../deploy-errors.ts";

/** Routes as they stand in the bucket; `revision` is the KV revision, which edges acknowledge. */
export interface StoredRoutes {
  routes: Routes | null;
  revision: number;
}

/** What a step wants of the routes. */
export interface WantedRoutes {
  default: string;
  serving: readonly string[];
  /** Digests to note, by version. Of those that stand there, the ones of `serving` and of `keep` stay. */
  digests?: Readonly<Record<string, string>>;
  keep?: readonly string[];
  /** Write them even if they are so: every edge answers what is written, and tells which members it knows of. */
  anew?: boolean;
}

/** @throws InternalError where they can't be read: what edges do with them is then unknown */
export async function fetchRoutes(bus: Bus, service: string): Promise<StoredRoutes> {
  return read(bus, await openBucket(bus, buckets.routes), service);
}

async function read(bus: Bus, kv: KV, service: string): Promise<StoredRoutes> {
  const entry = await bus.persist(() => kv.get(keys.routes(service)));
  if (entry === null || entry.operation !== "PUT") return { routes: null, revision: entry?.revision ?? 0 };
  try {
    return { routes: routesSchema.parse(entry.json()), revision: entry.revision };
  } catch (cause) {
    throw new InternalError(`the routes of ${service} in ${buckets.routes} can't be read; mend them, or delete them`, {
      cause,
    });
  }
}

/**
 * Makes the routes as wanted, by compare-and-set, under an epoch. Routes that are so already are left alone.
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
    const { routes, revision } = await read(bus, kv, service);
    if (routes !== null && routes.epoch > epoch) throw new FencedError(`${service}'s routes`, routes.epoch, epoch);
    const next = { ...nextRoutes(routes, wanted, epoch), updatedBy: by, updatedAt: new Date().toISOString() };
    if (routes !== null && isSame(routes, next) && !wanted.anew) return { routes, revision, changed: false };
    try {
      const value = JSON.stringify(next);
      const put = await bus.persist(() => kv.put(keys.routes(service), value, { previousSeq: revision }));
      return { routes: next, revision: put, changed: true };
    } catch (error) {
      // The next round tells: somebody else's, or ours, whose answer was lost.
      if (!isConflict(error)) throw error;
    }
  }
}

/** The routes after a change. */
export function nextRoutes(now: Routes | null, wanted: WantedRoutes, epoch: number): Routes {
  const { default: version, serving, digests, keep = [] } = wanted;
  const all = Object.entries({ ...now?.digests, ...digests });
  return {
    ...(now ?? { mode: "atomic" as const }),
    epoch,
    revision: (now?.revision ?? 0) + 1,
    default: version,
    serving: [...serving],
    digests: Object.fromEntries(all.filter(([each]) => serving.includes(each) || keep.includes(each))),
  };
}

function isSame(now: Routes, next: Routes): boolean {
  const essence = ({ epoch, default: version, serving, digests }: Routes) =>
    JSON.stringify([epoch, version, serving, Object.entries(digests ?? {}).sort()]);
  return essence(now) === essence(next);
}
