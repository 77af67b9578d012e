import { ProxyRejectedError } from "../contract.ts";
import { mapFile, placePrefix } from "./base.ts";
import { type HaproxyServer, OLDER_PREFIX, parseServersState } from "./servers-state.ts";

/** What HAProxy reports about itself. */
export interface RunningHaproxy {
  /** Tells one process from another. */
  pid: number;
  places: Map<string, HaproxyServer[]>;
  /** What the name of a place's backend begins with. */
  prefix: string;
  routes: Map<string, string>;
  /** The state of these servers as HAProxy writes it, and reads it when it starts. */
  state: string;
  /** What is wrong with its base configuration if an older slotd-edge rendered it; else null. */
  outdated: string | null;
}

export const observeCommands = (directory: string) => [
  "show info",
  `show map ${mapFile(directory)}`,
  "show servers state",
];

const NO_ADDRESSES = "if HAProxy starts before slotd-edge, it sends requests to 127.0.0.1";
const NO_SERVICE = "its names leave no room for a second service";

/**
 * @param answers to `observeCommands`
 * @throws ProxyRejectedError if this HAProxy does not run with the base configuration of this service
 */
export function parseRunningHaproxy(
  service: string,
  [info = "", map = "", state = ""]: readonly string[],
): RunningHaproxy {
  const [, pid] = /^Pid: (\d+)$/m.exec(info) ?? [];
  if (pid === undefined) throw new ProxyRejectedError(`HAProxy does not say its pid: ${info.slice(0, 200)}`);
  if (/^Unknown map/m.test(map)) throw otherBase(map.slice(0, 200));
  const placed = parseServersState(service, state);
  if (placed === null) throw otherBase(`it has no backend ${placePrefix(service)}v0`);
  const places = new Map<string, HaproxyServer[]>();
  for (const server of placed.servers) {
    const servers = places.get(server.place) ?? [];
    places.set(server.place, servers);
    servers.push(server);
  }
  const { prefix } = placed;
  const outdated = placed.servers.some(({ hostName }) => hostName === "-") ? NO_ADDRESSES : NO_SERVICE;
  return {
    pid: Number(pid),
    ...{ places, prefix, routes: parseMap(map), state: placed.state },
    outdated: prefix === OLDER_PREFIX ? outdated : null,
  };
}

function otherBase(why: string): ProxyRejectedError {
  return new ProxyRejectedError(
    `HAProxy does not run with the base configuration of this edge (${why}): render it again and reload HAProxy`,
  );
}

/** Lines of `0xADDRESS KEY VALUE`. */
function parseMap(text: string): Map<string, string> {
  const entries = text.split("\n").map((line) => line.split(" "));
  return new Map(
    entries.filter((parts) => parts.length === 3).map(([, key, value]) => [key as string, value as string]),
  );
}
