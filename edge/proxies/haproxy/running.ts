import { ProxyRejectedError } from "../contract.ts";
import { mapFile } from "./base.ts";

export interface HaproxyServer {
  name: string;
  address: string;
  port: number;
  weight: number;
  /** Whether it gets requests. Otherwise it is in maintenance. */
  ready: boolean;
  /** Seconds since `ready` last changed. */
  unchangedS: number;
}

/** What HAProxy reports about itself. */
export interface RunningHaproxy {
  /** Tells one process from another. */
  pid: number;
  places: Map<string, HaproxyServer[]>;
  routes: Map<string, string>;
  /** The servers' state as HAProxy writes it, and reads it when it starts. */
  state: string;
  /**
   * Whether HAProxy, started without an edge, takes the servers' addresses from `state`. False with an older base
   * configuration.
   */
  restoresAddresses: boolean;
}

export const observeCommands = (directory: string) => [
  "show info",
  `show map ${mapFile(directory)}`,
  "show servers state",
];

/** Administrative state: "disabled in the configuration". The only flag that a server which gets requests may have. */
const DISABLED_AT_START = 4;

/**
 * @param answers to `observeCommands`
 * @throws ProxyRejectedError if this HAProxy does not run with the base configuration
 */
export function parseRunningHaproxy([info = "", map = "", state = ""]: readonly string[]): RunningHaproxy {
  const [, pid] = /^Pid: (\d+)$/m.exec(info) ?? [];
  if (pid === undefined) throw new ProxyRejectedError(`HAProxy does not say its pid: ${info.slice(0, 200)}`);
  if (/^Unknown map/m.test(map))
    throw new ProxyRejectedError(`HAProxy does not run with the base configuration of this edge: ${map.slice(0, 200)}`);
  const { places, restoresAddresses } = parseServersState(state);
  return { pid: Number(pid), places, routes: parseMap(map), state: `${state}\n`, restoresAddresses };
}

/** Lines of `0xADDRESS KEY VALUE`. */
function parseMap(text: string): Map<string, string> {
  const entries = text.split("\n").map((line) => line.split(" "));
  return new Map(
    entries.filter((parts) => parts.length === 3).map(([, key, value]) => [key as string, value as string]),
  );
}

/** A line with the format's version, a line with the columns' names, then a line per server. */
function parseServersState(text: string): Pick<RunningHaproxy, "places" | "restoresAddresses"> {
  const [version, header = "", ...lines] = text.split("\n");
  const columns = header.replace(/^# /, "").split(" ");
  if (version !== "1" || !columns.includes("srv_port"))
    throw new ProxyRejectedError(`HAProxy's server state has an unknown format: ${text.slice(0, 200)}`);
  const places = new Map<string, HaproxyServer[]>();
  const at = (name: string) => columns.indexOf(name);
  let restoresAddresses = true;
  const [place, name, address, admin, weight, since, port, hostName] = [
    at("be_name"),
    at("srv_name"),
    at("srv_addr"),
    at("srv_admin_state"),
    at("srv_uweight"),
    at("srv_time_since_last_change"),
    at("srv_port"),
    at("srv_fqdn"),
  ];
  for (const line of lines) {
    const cells = line.split(" ");
    const key = cells[place as number] ?? "";
    if (!/^v\d+$/.test(key)) continue;
    const servers = places.get(key) ?? [];
    if (servers.length === 0) places.set(key, servers);
    if (cells[hostName as number] === "-") restoresAddresses = false;
    servers.push({
      name: cells[name as number] ?? "",
      address: cells[address as number] ?? "",
      port: Number(cells[port as number]),
      weight: Number(cells[weight as number]),
      ready: (Number(cells[admin as number]) & ~DISABLED_AT_START) === 0,
      unchangedS: Number(cells[since as number]),
    });
  }
  return { places, restoresAddresses };
}
