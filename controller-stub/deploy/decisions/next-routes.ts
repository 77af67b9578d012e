import type { Routes } from "../../../protocol/routes.ts";
import type { WantedRoutes } from "./wanted-routes.ts";

/** Routes as they are in the bucket; `revision` is the KV revision, which edges acknowledge. */
export interface StoredRoutes {
  routes: Routes | null;
  revision: number;
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

/** Whether two routes mean the same; who wrote them, and when, is left out. */
export function equalRoutes(now: Routes, next: Routes): boolean {
  const essence = ({ epoch, default: version, serving, digests }: Routes) =>
    JSON.stringify([epoch, version, serving, Object.entries(digests ?? {}).sort()]);
  return essence(now) === essence(next);
}
