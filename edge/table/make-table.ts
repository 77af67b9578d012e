import type { Routes } from "../../protocol/routes.ts";
import type { ReadMember } from "../members/read-member.ts";
import type { Endpoint, Table, VersionEndpoints } from "./table.ts";
import { allTo } from "./unnamed.ts";

export interface TableSource {
  service: string;
  /** Null before there are any. */
  routes: Routes | null;
  routesRevision: number;
  /** Those that may get requests; of versions that are not served, too. */
  members: readonly ReadMember[];
  serversetsRevision: number;
  fallback: "none" | "previous";
}

/** The table for what is known. */
export function makeTable(source: TableSource): Table {
  const { service, routes, routesRevision, members, serversetsRevision } = source;
  const versions = (routes?.serving ?? []).map((version) => ({
    version,
    endpoints: members
      .filter((member) => member.version === version && isOfRelease(member, routes))
      .map(toEndpoint)
      .sort((x, y) => (x.id < y.id ? -1 : 1)),
  }));
  return {
    service,
    epoch: routes?.epoch ?? 0,
    routesRevision,
    serversetsRevision,
    unnamed: routes ? allTo(routes.default) : [],
    fallback: routes && source.fallback === "previous" ? previousVersion(versions, routes.default) : null,
    versions,
  };
}

/** Whether a member serves the very release that the routes mean; true where they do not say. */
export function isOfRelease({ version, sha256 }: ReadMember, routes: Routes | null): boolean {
  const digests = routes?.digests ?? {};
  return !Object.hasOwn(digests, version) || digests[version] === sha256;
}

/** The first version beside the default that somebody serves, or else the first. */
function previousVersion(versions: readonly VersionEndpoints[], byDefault: string): string | null {
  const others = versions.filter(({ version }) => version !== byDefault);
  return (others.find(({ endpoints }) => endpoints.length > 0) ?? others[0])?.version ?? null;
}

function toEndpoint({ id, address, port, weight }: ReadMember): Endpoint {
  return { id, address, port, weight };
}

/** Whether two tables route alike: all but the epoch and the revisions. */
export function routesAlike(x: Table, y: Table): boolean {
  return x === y || routing(x) === routing(y);
}

/** The same table, as of a later revision of the serverset that changed nobody. */
export function atRevision(table: Table, serversetsRevision: number): Table {
  const later = { ...table, serversetsRevision };
  routings.set(later, routing(table));
  return later;
}

const routings = new WeakMap<Table, string>();

function routing(table: Table): string {
  let text = routings.get(table);
  if (text === undefined) {
    const { service, versions } = table;
    const endpoints = versions.map((v) => [v.version, v.endpoints.map((e) => [e.id, e.address, e.port, e.weight])]);
    text = JSON.stringify([
      service,
      table.unnamed.map((u) => [u.version, u.share, u.stage]),
      table.fallback,
      endpoints,
    ]);
    routings.set(table, text);
  }
  return text;
}
