import type { Endpoint, Table, VersionEndpoints } from "../../table/table.ts";
import { ProxyRejectedError } from "../contract.ts";
import { choosePlaces } from "./places.ts";
import { makeRoutesMap, sameRoutesMap } from "./routes-map.ts";
import type { RunningHaproxy } from "./running.ts";
import type { HaproxyServer } from "./servers-state.ts";

/** Commands to run, in this order; empty steps are skipped. */
export interface HaproxyPlan {
  /** Gives servers their endpoints, before requests go to a place that was empty. */
  fill: string[];
  /** The complete new map, which is switched atomically; null if the current one is right. */
  routes: Map<string, string> | null;
  /** Puts servers into maintenance: they get no new requests and finish those in flight. */
  withdraw: string[];
  /** Gives endpoints to servers that had to be withdrawn first. */
  refill: string[];
}

/** The highest weight in HAProxy. */
const MAX_WEIGHT = 256;

/**
 * Plans the way from what HAProxy runs with to a table. It depends on no earlier plan, so it also repairs whatever
 * happened in between.
 * @throws ProxyRejectedError if there is too little room; it names the key of the configuration to raise
 */
export function planTable(running: RunningHaproxy, table: Table): HaproxyPlan {
  const wanted = table.versions.filter(({ endpoints }) => endpoints.length > 0);
  for (const { version, endpoints } of wanted) assertRoom(running, version, endpoints.length);
  const chosen = choosePlaces(running, wanted);
  const plan: HaproxyPlan = { fill: [], routes: null, withdraw: [], refill: [] };
  for (const entry of wanted) {
    const place = chosen.places.get(entry.version) as string;
    const empty = !chosen.used.has(place);
    planPlace(plan, running.prefix + place, running.places.get(place) ?? [], entry, empty);
  }
  const kept = new Set(chosen.places.values());
  for (const [place, servers] of running.places)
    if (!kept.has(place))
      plan.withdraw.push(...servers.filter(({ ready }) => ready).map((s) => maintain(running.prefix + place, s)));
  const routes = makeRoutesMap(table, chosen.places);
  if (!sameRoutesMap(routes, running.routes)) plan.routes = routes;
  return plan;
}

export function isEmptyPlan({ fill, routes, withdraw, refill }: HaproxyPlan): boolean {
  return fill.length + withdraw.length + refill.length === 0 && routes === null;
}

/**
 * @param backend the name of the place's backend
 * @param empty whether no requests go to the place yet, so that its servers can change in any order
 */
function planPlace(
  plan: HaproxyPlan,
  backend: string,
  servers: readonly HaproxyServer[],
  entry: VersionEndpoints,
  empty: boolean,
) {
  const ready = new Map<string, HaproxyServer>();
  const surplus: HaproxyServer[] = [];
  const goals = new Map(entry.endpoints.map((endpoint) => [addressOf(endpoint), endpoint]));
  for (const server of servers.filter((s) => s.ready)) {
    const address = addressOf(server);
    if (goals.has(address) && !ready.has(address)) ready.set(address, server);
    else surplus.push(server);
  }
  const weight = weigher(entry.endpoints);
  for (const [address, server] of ready) {
    const w = weight(goals.get(address) as Endpoint);
    if (w !== server.weight) plan.fill.push(`set server ${backend}/${server.name} weight ${w}`);
  }
  // The server that has been withdrawn for longest has the fewest requests left.
  const free = servers.filter((s) => !s.ready).sort((a, b) => b.unchangedS - a.unchangedS);
  const withdrawn = surplus.map((server) => maintain(backend, server));
  if (empty) plan.fill.push(...withdrawn);
  else plan.withdraw.push(...withdrawn);
  const spare = [...free, ...surplus];
  for (const [address, endpoint] of goals) {
    if (ready.has(address)) continue;
    const server = spare.shift() as HaproxyServer;
    const commands = [
      `set server ${backend}/${server.name} addr ${endpoint.address} port ${endpoint.port}`,
      `set server ${backend}/${server.name} weight ${weight(endpoint)}`,
      `set server ${backend}/${server.name} state ready`,
    ];
    if (server.ready && !empty) plan.refill.push(...commands);
    else plan.fill.push(...commands);
  }
}

function maintain(backend: string, { name }: HaproxyServer): string {
  return `set server ${backend}/${name} state maint`;
}

/** Scales weights so that the highest is at most HAProxy's, and the proportions stay. */
function weigher(endpoints: readonly Endpoint[]): (endpoint: Endpoint) => number {
  const heaviest = endpoints.reduce((most, { weight }) => Math.max(most, weight), 1);
  if (heaviest <= MAX_WEIGHT) return ({ weight }) => weight;
  return ({ weight }) => Math.max(1, Math.round((weight * MAX_WEIGHT) / heaviest));
}

function assertRoom(running: RunningHaproxy, version: string, count: number): void {
  const room = Math.min(...[...running.places.values()].map((servers) => servers.length));
  if (count <= room) return;
  throw new ProxyRejectedError(
    `version ${version} has ${count} endpoints, but HAProxy has ${Number.isFinite(room) ? room : 0} servers per place: ` +
      "raise proxy.servers_per_place, render the base configuration again and reload HAProxy",
  );
}

const addressOf = ({ address, port }: { address: string; port: number }) => `${address} ${port}`;
