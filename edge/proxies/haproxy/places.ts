import type { VersionEndpoints } from "../../table/table.ts";
import { ProxyRejectedError } from "../contract.ts";
import { parseRoutesMap } from "./routes-map.ts";
import type { RunningHaproxy } from "./running.ts";
import type { HaproxyServer } from "./servers-state.ts";

/**
 * Chooses a place for each version: the one that it has, else the empty place that has been unused for longest, so that
 * a request that is still being retried there does not get another version. A version moves to another place if all its
 * servers are taken and all its endpoints are replaced: otherwise it would have no server for a moment.
 * @returns the places, and all places that the map mentions now
 * @throws ProxyRejectedError if there are too few
 */
export function choosePlaces(running: RunningHaproxy, wanted: readonly VersionEndpoints[]) {
  const { places: current, used } = parseRoutesMap(running.routes);
  const free = [...running.places].filter(([name]) => !used.has(name)).sort(([, a], [, b]) => unused(b) - unused(a));
  const places = new Map<string, string>();
  for (const entry of wanted) {
    const has = current.get(entry.version);
    const servers = has === undefined ? undefined : running.places.get(has);
    if (has !== undefined && servers && !mustMove(servers, entry)) places.set(entry.version, has);
    else {
      const [place] = free.shift() ?? [];
      if (place === undefined) throw tooFew(running.places.size, used.size, wanted, current);
      places.set(entry.version, place);
    }
  }
  return { places, used };
}

/** Whether a place has neither a server that stays nor a free one for a new endpoint. */
function mustMove(servers: readonly HaproxyServer[], { endpoints }: VersionEndpoints): boolean {
  const wanted = new Set(endpoints.map(({ address, port }) => `${address} ${port}`));
  return servers.every(({ ready, address, port }) => ready && !wanted.has(`${address} ${port}`));
}

function unused(servers: readonly HaproxyServer[]): number {
  return servers.reduce((least, { unchangedS }) => Math.min(least, unchangedS), Number.POSITIVE_INFINITY);
}

function tooFew(places: number, used: number, wanted: readonly VersionEndpoints[], current: Map<string, string>) {
  const more = wanted.filter(({ version }) => !current.has(version)).length;
  return new ProxyRejectedError(
    `HAProxy has ${places} places, but ${used} versions are served and ${Math.max(1, more)} more are needed: ` +
      `raise proxy.places to at least ${used + Math.max(1, more)}, render the base configuration again and reload HAProxy`,
  );
}
