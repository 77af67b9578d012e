import type { Endpoint, Table } from "../../table/table.ts";
import { soleVersion } from "../../table/unnamed.ts";
import { backendName, compiledFlag, defaultFlag, fallbackFlag, offeredFlag, servedVersions } from "./vcl.ts";

/** A backend whose health is to be set by hand. */
export interface BackendHealth {
  backend: string;
  healthy: boolean;
}

/**
 * The table next to a wanted one that a VCL can be brought to by nothing but its backends' health.
 * Where it is not `exact`, a VCL has to be loaded; till then what is already not wanted any more is left out, as long as everyone who is
 * to be answered then is still answered: nobody loses the last endpoint of a version that is only moving, and there is always a default.
 * Weights can't be changed without a load, and do not make a difference here.
 * @param compiled the table that the VCL was made from
 * @param before the one that it routes by: what is not in it was withdrawn, and does not come back unless it is wanted
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
 * What to set so that a loaded VCL routes by a table, in the order in which it is to be set: who is added, then the default in one
 * moment, then who is withdrawn. A version that goes is not offered any more, and its endpoints are left alone: whom it was chosen for a
 * moment ago is still served. Before it is offered again, they are put right.
 * @param compiled the table that the VCL was made from
 * @param sick names of its backends that are sick now
 * @param target one that `nearest` made for it
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

/** Whether a VCL says the table by itself, with every backend healthy and every weight as it should be. */
export function isSettled(compiled: Table, table: Table): boolean {
  const told = (t: Table) => [
    soleVersion(t),
    t.fallback,
    servedVersions(t).map((v) => [v.version, v.endpoints.map(weighed).sort()]),
  ];
  return JSON.stringify(told(compiled)) === JSON.stringify(told(table));
}

const named = ([backend, healthy]: readonly [string, boolean]): BackendHealth => ({ backend, healthy });
const keysOf = (table: Table) =>
  new Map(servedVersions(table).map(({ version, endpoints }) => [version, new Set(endpoints.map(key))]));
const key = ({ id, address, port }: Endpoint) => `${id} ${address} ${port}`;
const weighed = (endpoint: Endpoint) => `${key(endpoint)} ${endpoint.weight}`;
