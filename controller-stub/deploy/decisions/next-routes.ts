import type { Routes } from "../../../protocol/routes.ts";
import type { WantedRoutes } from "./wanted-routes.ts";

/** Routes as they are in the bucket; `revision` is the KV revision, which edges acknowledge. */
export interface StoredRoutes {
  routes: Routes | null;
  revision: number;
  /** There are routes, and they can't be read. */
  isMalformed?: true;
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

/** Whether two routes mean the same. Who wrote them, when, and under which revision, is left out. */
export function equalRoutes(now: Routes, next: Routes): boolean {
  const essence = ({ updatedBy, updatedAt, revision, digests = {}, ...rest }: Routes) =>
    JSON.stringify([Object.entries(digests).sort(), Object.entries(rest).sort()]);
  return essence(now) === essence(next);
}
