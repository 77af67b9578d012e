import type { Endpoint, Table } from "../../table/table.ts";
import { soleVersion } from "../../table/unnamed.ts";
import { backendName, compiledFlag, defaultFlag, fallbackFlag, offeredFlag, servedVersions } from "./vcl.ts";

/** A health to set, by command, for a backend. */
export interface BackendHealth {
  backend: string;
  healthy: boolean;
}

/**
 * The table nearest to a wanted one that a loaded VCL can reach by the health of its backends alone.
 * If it is not `exact`, a new VCL must be loaded. Until then the nearest table already leaves out what is no longer
 * wanted, except where that would leave requests unanswered: a version keeps its last endpoints until the new ones are
 * loaded, and there is always a default. Weights can't change without a load, and are ignored here.
 * @param compiled the table that the VCL was compiled from
 * @param before the table that it routes by now: what is not in it was withdrawn, and comes back only if it is wanted
 */
export function nearestTable(compiled: Table, before: Table, wanted: Table): { table: Table; exact: boolean } {
  const goals = keysOf(wanted);
  const had = keysOf(before);
  const kept = servedVersions(compiled).map(({ version, endpoints }) => {
    const of = (keys: typeof goals) => endpoints.filter((endpoint) => keys.get(version)?.has(key(endpoint)));
    return { version, all: of(had), endpoints: of(goals) };
  });
  const has = (version: string | null) => kept.some((entry) => entry.version === version && entry.endpoints.length > 0);
  const goal = [soleVersion(wanted), wanted.fallback].find((version) => version !== null && goals.has(version)) ?? null;
  const covered = [...goals].every(
    ([version, keys]) => kept.find((entry) => entry.version === version)?.endpoints.length === keys.size,
  );
  const reachable = goal === null ? covered : has(goal);
  const exact = reachable && covered;
  const versions = kept.map(({ version, all, endpoints }) => {
    const mayGo = endpoints.length > 0 || (reachable && !goals.has(version));
    return { version, endpoints: mayGo ? endpoints : all };
  });
  const to = reachable ? wanted : before;
  return { exact, table: { ...wanted, unnamed: to.unnamed, fallback: to.fallback, versions } };
}

/**
 * The commands that make a loaded VCL route by a table, in order: additions, then the default in one moment, then
 * withdrawals. A withdrawn version is no longer offered, but its endpoints stay healthy, so a request that was routed
 * there just before is still served. Their health is corrected before the version is offered again.
 * @param compiled the table that the VCL was compiled from
 * @param sick names of its backends that are sick now
 * @param target made by `nearestTable` for this VCL
 */
export function planHealth(compiled: Table, sick: ReadonlySet<string>, target: Table): BackendHealth[] {
  const goals = keysOf(target);
  const versions = servedVersions(compiled).map(({ version, endpoints }, v) => {
    const keys = goals.get(version);
    const changes = (keys ? endpoints : []).flatMap((endpoint, e): BackendHealth[] => {
      const to = { backend: backendName(v, e), healthy: keys?.has(key(endpoint)) ?? false };
      return to.healthy === sick.has(to.backend) ? [to] : [];
    });
    const offered = { backend: offeredFlag(v), healthy: keys !== undefined };
    const isOffered = !sick.has(offered.backend);
    return { changes, isOffered, offer: offered.healthy === isOffered ? [] : [offered] };
  });
  const those = (healthy: boolean) => (change: BackendHealth) => change.healthy === healthy;
  const offered = versions.filter(({ isOffered }) => isOffered).flatMap(({ changes }) => changes);
  const hidden = versions.filter(({ isOffered }) => !isOffered).flatMap(({ changes }) => changes);
  const offers = versions.flatMap(({ offer }) => offer);
  return [
    ...hidden,
    ...offered.filter(those(true)),
    ...offers.filter(those(true)),
    ...planDefault(compiled, sick, target),
    ...offers.filter(those(false)),
    ...offered.filter(those(false)),
  ];
}

function planDefault(compiled: Table, sick: ReadonlySet<string>, target: Table): BackendHealth[] {
  const change = (entries: [string, boolean][]) => entries.filter(([name, healthy]) => healthy === sick.has(name));
  if (soleVersion(target) === soleVersion(compiled) && target.fallback === compiled.fallback)
    return change([[compiledFlag, true]]).map(named);
  const flags = servedVersions(compiled).flatMap(({ version }, v): [string, boolean][] => [
    [defaultFlag(v), version === soleVersion(target)],
    [fallbackFlag(v), version === target.fallback],
  ]);
  const changed = change(flags);
  const on = changed.filter(([, healthy]) => healthy);
  const off = changed.filter(([, healthy]) => !healthy);
  return [...on, ...off, ...change([[compiledFlag, false]])].map(named);
}

/** Whether a VCL routes by the table with every backend healthy and the right weights, so that no load is due. */
export function isSettled(compiled: Table, table: Table): boolean {
  const routing = (t: Table) => [
    soleVersion(t),
    t.fallback,
    servedVersions(t).map((v) => [v.version, v.endpoints.map(weighed).sort()]),
  ];
  return JSON.stringify(routing(compiled)) === JSON.stringify(routing(table));
}

const named = ([backend, healthy]: readonly [string, boolean]): BackendHealth => ({ backend, healthy });
const keysOf = (table: Table) =>
  new Map(servedVersions(table).map(({ version, endpoints }) => [version, new Set(endpoints.map(key))]));
const key = ({ id, address, port }: Endpoint) => `${id} ${address} ${port}`;
const weighed = (endpoint: Endpoint) => `${key(endpoint)} ${endpoint.weight}`;
