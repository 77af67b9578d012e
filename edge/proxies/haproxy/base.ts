import type { VersionNaming } from "../../table/table.ts";
import { assertNaming } from "../renderable.ts";
import type { HaproxyConfig } from "./config.ts";
import { defaultKey, routedKey } from "./routes-map.ts";

const placeName = (index: number) => `v${index}`;
export const mapFile = (directory: string) => `${directory}/current/routes.map`;
export const stateFile = (directory: string) => `${directory}/current/servers.state`;

/**
 * HAProxy's configuration, which never changes afterwards: places for versions, each with places for servers, all of them empty. Who
 * is where comes from two files when HAProxy starts, and by its runtime API from then on.
 * A request's route is one value, `PLACE/VERSION`, read from the map at once: so that the place that it goes to, and the version
 * that its answer names, belong together whatever is changed in between.
 * Pure: the same configuration gives the same text.
 */
export function renderHaproxyBase(config: HaproxyConfig, naming: VersionNaming): string {
  assertNaming(naming);
  const { directory, socket, socket_group } = config;
  const map = `map_str(${mapFile(directory)})`;
  return `# Made by slotd-edge --render-base: rather than this file, change the edge's configuration, and render it again.
global
  stats socket ${socket} mode 660${socket_group ? ` group ${socket_group}` : ""} level admin expose-fd listeners
  stats timeout 60s
  server-state-file ${stateFile(directory)}

defaults
  mode http
  load-server-state-from-file global
  timeout connect ${config.connect_timeout_ms}ms
  timeout client ${config.client_timeout_ms}ms
  timeout server ${config.server_timeout_ms}ms
  timeout tunnel ${config.tunnel_timeout_ms}ms
  timeout http-request 10s
  # A client may send on a kept connection just as it is closed: when HAProxy ends, such a one is closed only with an answer.
  option idle-close-on-response
  option forwardfor
  http-reuse safe
  # An endpoint that takes no connection is passed over at once. One that took a request and said nothing is, if that may be repeated.
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
  http-error status 503 content-type application/json string ${json("ENDPOINT_FAILED", "The endpoint did not answer.")}

frontend slotd
${config.bind.map((bind) => `  bind ${bind}`).join("\n")}
${asked(naming)}
  http-request set-var(txn.route) var(txn.asked),${map} if { var(txn.asked) -m found }
  http-request set-var(txn.route) str(${defaultKey}),${map} if !{ var(txn.route) -m found }
  http-request return status 503 content-type application/json string ${json("NO_ENDPOINT", "Nobody serves the default version.")} if !{ var(txn.route) -m found } { str(${routedKey}),${map} -m found }
  http-request return status 503 content-type application/json string ${json("NO_ROUTES", "There are no routes yet.")} if !{ var(txn.route) -m found }
  http-response set-header ${naming.header} %[var(txn.route),field(2,/)]
  use_backend %[var(txn.route),field(1,/)]

${Array.from({ length: config.places }, (_, index) => place(placeName(index), config)).join("\n")}`;
}

/** Whom a request names: by header, else by query parameter, else by cookie. A `:` is in none of a version's names, and in the map's own keys. */
function asked({ header, query, cookie }: VersionNaming): string {
  const fetches = [`req.fhdr(${header})`];
  if (query !== null) fetches.push(`url_param(${query}),url_dec`);
  if (cookie !== null) fetches.push(`req.cook(${cookie}),url_dec`);
  return fetches
    .map(
      (fetch) => `  http-request set-var(txn.asked) ${fetch} if !{ var(txn.asked) -m found } { ${fetch} -m reg ^[^:] }`,
    )
    .join("\n");
}

function place(name: string, config: HaproxyConfig): string {
  return `backend ${name}
  balance ${config.balance}
  http-request disable-l7-retry unless { method GET HEAD OPTIONS }
  default-server pool-purge-delay 2s
  server-template s 1-${config.servers_per_place} 127.0.0.1:1 disabled
`;
}

function json(code: string, message: string): string {
  return `'${JSON.stringify({ code, message })}'`;
}
