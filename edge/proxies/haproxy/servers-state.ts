import { ProxyRejectedError } from "../contract.ts";
import { placePrefix } from "./base.ts";

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

/** A server in a place, as HAProxy reports it. */
interface PlacedServer extends HaproxyServer {
  place: string;
  /** The name that the configuration gives it instead of an address; `-`: none. */
  hostName: string;
}

/** Older base configurations, which have an HAProxy for themselves, call the backends of their places `v0`, `v1`, … */
export const OLDER_PREFIX = "";

/** Administrative state: "disabled in the configuration". The only flag that a server which gets requests may have. */
const DISABLED_AT_START = 4;

/**
 * The servers of one service's places, of all that HAProxy reports: a line with the format's version, a line with the
 * columns' names, then a line per server.
 * @returns the servers, what the names of their backends begin with, and the service's state file; null if there are no
 *   such servers
 * @throws ProxyRejectedError if the format is unknown
 */
export function parseServersState(service: string, text: string) {
  const [version = "", header = "", ...lines] = text.split("\n");
  const columns = header.replace(/^# /, "").split(" ");
  if (version !== "1" || !columns.includes("srv_port"))
    throw new ProxyRejectedError(`HAProxy's server state has an unknown format: ${text.slice(0, 200)}`);
  const backendAt = columns.indexOf("be_name");
  const reported = lines.map((line) => ({ line, cells: line.split(" ") }));
  for (const prefix of [placePrefix(service), OLDER_PREFIX]) {
    const own = reported.flatMap((server) => {
      const place = placeOf(server.cells[backendAt] ?? "", prefix);
      return place === null ? [] : [{ ...server, place }];
    });
    if (own.length === 0) continue;
    const state = `${[version, header, ...own.map(({ line }) => line)].join("\n")}\n`;
    const servers = own.map(({ place, cells }) => ({ place, ...toServer(cells, columns) }));
    return { prefix, servers, state: withServiceNames(service, state) };
  }
  return null;
}

function toServer(cells: readonly string[], columns: readonly string[]): Omit<PlacedServer, "place"> {
  const cell = (name: string) => cells[columns.indexOf(name)] ?? "";
  return {
    name: cell("srv_name"),
    address: cell("srv_addr"),
    port: Number(cell("srv_port")),
    weight: Number(cell("srv_uweight")),
    ready: (Number(cell("srv_admin_state")) & ~DISABLED_AT_START) === 0,
    unchangedS: Number(cell("srv_time_since_last_change")),
    hostName: cell("srv_fqdn"),
  };
}

/** @returns the place that a backend is; null if it is not one of those with this prefix */
function placeOf(backend: string, prefix: string): string | null {
  const place = backend.slice(prefix.length);
  return backend.startsWith(prefix) && /^v\d+$/.test(place) ? place : null;
}

/**
 * Adds to a state file with older names each server under its new name too, so that HAProxy loses no endpoint when it
 * is reloaded with a new base configuration.
 */
export function withServiceNames(service: string, state: string): string {
  const prefix = placePrefix(service);
  if (state.includes(` ${prefix}`)) return state;
  const renamed = state.match(/^\d+ v\d+ .*$/gm)?.map((line) => line.replace(" v", ` ${prefix}v`)) ?? [];
  return renamed.length === 0 ? state : `${state.trimEnd()}\n${renamed.join("\n")}\n`;
}
