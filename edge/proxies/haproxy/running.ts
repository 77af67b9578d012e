import { ProxyRejectedError } from "../contract.ts";
import { mapFile } from "./base.ts";

export interface HaproxyServer {
  name: string;
  address: string;
  port: number;
  weight: number;
  /** Whether it gets requests; else it is in maintenance. */
  ready: boolean;
  /** Since it last changed between the two. */
  unchangedS: number;
}

/** What HAProxy says of itself. */
export interface RunningHaproxy {
  /** Tells one process from another. */
  pid: number;
  places: Map<string, HaproxyServer[]>;
  routes: Map<string, string>;
  /** The servers' state as HAProxy wrote it, and reads it when it starts. */
  state: string;
}

export const observeCommands = (directory: string) => [
  "show info",
  `show map ${mapFile(directory)}`,
  "show servers state",
];

/** The only flag that a server may have and get requests all the same: that it was disabled in the configuration, once. */
const DISABLED_AT_START = 4;

/**
 * @param answers to `observeCommands`
 * @throws ProxyRejectedError where this HAProxy does not run with the base configuration
 */
export function parseRunningHaproxy([info = "", map = "", state = ""]: readonly string[]): RunningHaproxy {
  const [, pid] = /^Pid: (\d+)$/m.exec(info) ?? [];
  if (pid === undefined) throw new ProxyRejectedError(`HAProxy does not say its pid: ${info.slice(0, 200)}`);
  if (/^Unknown map/m.test(map))
    throw new ProxyRejectedError(`HAProxy does not run with the base configuration of this edge: ${map.slice(0, 200)}`);
  return { pid: Number(pid), places: readPlaces(state), routes: readMap(map), state: `${state}\n` };
}

/** Lines of `0xADDRESS KEY VALUE`. */
function readMap(text: string): Map<string, string> {
  const entries = text.split("\n").map((line) => line.split(" "));
  return new Map(
    entries.filter((parts) => parts.length === 3).map(([, key, value]) => [key as string, value as string]),
  );
}

/** A version, a line that names the columns, and a line per server. */
function readPlaces(text: string): Map<string, HaproxyServer[]> {
  const [version, header = "", ...lines] = text.split("\n");
  const columns = header.replace(/^# /, "").split(" ");
  if (version !== "1" || !columns.includes("srv_port"))
    throw new ProxyRejectedError(`HAProxy's servers' state is of an unknown form: ${text.slice(0, 200)}`);
  const places = new Map<string, HaproxyServer[]>();
  const at = (name: string) => columns.indexOf(name);
  const [place, name, address, admin, weight, since, port] = [
    at("be_name"),
    at("srv_name"),
    at("srv_addr"),
    at("srv_admin_state"),
    at("srv_uweight"),
    at("srv_time_since_last_change"),
    at("srv_port"),
  ];
  for (const line of lines) {
    const cells = line.split(" ");
    const key = cells[place as number] ?? "";
    if (!/^v\d+$/.test(key)) continue;
    const servers = places.get(key) ?? [];
    if (servers.length === 0) places.set(key, servers);
    servers.push({
      name: cells[name as number] ?? "",
      address: cells[address as number] ?? "",
      port: Number(cells[port as number]),
      weight: Number(cells[weight as number]),
      ready: (Number(cells[admin as number]) & ~DISABLED_AT_START) === 0,
      unchangedS: Number(cells[since as number]),
    });
  }
  return places;
}
