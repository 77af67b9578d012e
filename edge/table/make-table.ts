import type { Routes } from "../../protocol/routes.ts";
import type { ReadMember } from "../members/read-member.ts";
import type { Endpoint, Table, VersionEndpoints } from "./table.ts";
import { allTo } from "./unnamed.ts";

export interface TableSource {
  service: string;
  /** Null before the first routes. */
  routes: Routes | null;
  routesRevision: number;
  /** Those that may get requests, also of versions that are not served. */
  members: readonly ReadMember[];
  serversetsRevision: number;
  fallback: "none" | "previous";
}

/** Makes the table. */
export function makeTable(source: TableSource): Table {
  const { service, routes, routesRevision, members, serversetsRevision } = source;
  const versions = (routes?.serving ?? []).map((version) => ({
    version,
    endpoints: members
      .filter((member) => member.version === version && isRoutable(member, routes))
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

/** Whether the routes send requests to a member: they serve its version, and its release is the one that they name. */
export function isRoutable(member: ReadMember, routes: Routes | null): boolean {
  return isServed(member, routes) && hasNamedRelease(member, routes);
}

/** Whether a member serves the default of the routes. */
export function isDefault(member: ReadMember, routes: Routes): boolean {
  return member.version === routes.default && isRoutable(member, routes);
}

/** The members whose version the routes serve, but whose release is not the one that they name. */
export function findDigestMismatches(members: readonly ReadMember[], routes: Routes | null): ReadMember[] {
  return members.filter((member) => isServed(member, routes) && !hasNamedRelease(member, routes));
}

function isServed({ version }: ReadMember, routes: Routes | null): boolean {
  return routes?.serving.includes(version) ?? false;
}

/** True if the routes name no digest for the version. */
function hasNamedRelease({ version, sha256 }: ReadMember, routes: Routes | null): boolean {
  const digests = routes?.digests ?? {};
  return !Object.hasOwn(digests, version) || digests[version] === sha256;
}

/** The first version other than the default that has endpoints; if none has, the first other version. */
function previousVersion(versions: readonly VersionEndpoints[], byDefault: string): string | null {
  const others = versions.filter(({ version }) => version !== byDefault);
  return (others.find(({ endpoints }) => endpoints.length > 0) ?? others[0])?.version ?? null;
}

function toEndpoint({ id, stage, address, port, weight }: ReadMember): Endpoint {
  return { id, stage, address, port, weight };
}

/** Whether two tables route alike. They may differ in the epoch and the revisions. */
export function routesAlike(x: Table, y: Table): boolean {
  return x === y || routing(x) === routing(y);
}

/** The same table at a later serverset revision that changed no endpoint. */
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
    // An endpoint's id contains its stage.
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
