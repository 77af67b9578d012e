import type { VersionEndpoints } from "../../table/table.ts";
import { ProxyRejectedError } from "../contract.ts";
import { parseRoutesMap } from "./routes-map.ts";
import type { HaproxyServer, RunningHaproxy } from "./running.ts";

/**
 * A place for each version: the one that it has; else an empty one, out of use for longest, so that a request that is still being
 * tried there does not meet another version.
 * A version whose every server is taken, and whose every endpoint is another now, moves: it would be without any for a moment.
 * @returns the places, and those that the map mentions now
 * @throws ProxyRejectedError where there are too few
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

/** Whether anything is left of what a place had, or at least a server to put the new in beside. */
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
    `${used} versions are served and ${Math.max(1, more)} more are to be, and HAProxy has ${places} places: ` +
      `raise proxy.places to at least ${used + Math.max(1, more)}, render the base configuration again and reload HAProxy`,
  );
}
