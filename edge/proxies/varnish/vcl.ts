import type { Endpoint, Table, VersionNaming } from "../../table/table.ts";
import { soleVersion } from "../../table/unnamed.ts";
import { assertNaming, assertRenderable } from "../renderable.ts";
import type { VarnishConfig } from "./config.ts";

/** What of the configuration is written into VCL. */
export type VclSettings = Pick<
  VarnishConfig,
  "include" | "cache" | "connect_timeout_ms" | "first_byte_timeout_ms" | "between_bytes_timeout_ms"
>;

/**
 * Backends that nothing is ever sent to: their health, which is set by hand and without a compilation, says what to route by.
 * `compiled` is healthy: by the default and the fallback that the VCL was made with. Sick: by `default_N` and `fallback_N`, of which
 * the one of version N is healthy. So a VCL is right from its first moment, and can be switched in milliseconds.
 * `offered_N` is healthy while version N may be asked for at all. A version that goes is withdrawn by it, and its endpoints stay healthy:
 * Varnish chooses the endpoint only when it fetches, and a request that was routed before still finds one.
 */
export const compiledFlag = "compiled";
export const defaultFlag = (index: number) => `default_${index}`;
export const fallbackFlag = (index: number) => `fallback_${index}`;
export const offeredFlag = (index: number) => `offered_${index}`;
export const backendName = (version: number, endpoint: number) => `b${version}_${endpoint}`;

/** Versions that somebody serves; the others are as if they were not there. Their places in this list are their numbers in the VCL. */
export const servedVersions = (table: Table) => table.versions.filter(({ endpoints }) => endpoints.length > 0);

/**
 * A table as VCL. Pure: the same table gives the same text.
 * @throws ProxyRejectedError where a name in it could not be written safely
 */
export function renderVcl(table: Table, naming: VersionNaming, settings: VclSettings): string {
  assertRenderable(table);
  assertNaming(naming);
  const versions = servedVersions(table);
  const index = (version: string | null) => versions.findIndex((v) => v.version === version);
  return [
    "vcl 4.1;",
    "import std;",
    "import directors;",
    settings.include === undefined ? "" : `include "${settings.include}";`,
    "backend default none;",
    flag(compiledFlag),
    ...versions.flatMap(({ endpoints }, v) => [
      flag(defaultFlag(v)),
      flag(fallbackFlag(v)),
      flag(offeredFlag(v)),
      ...endpoints.map((endpoint, e) => backend(backendName(v, e), endpoint, settings)),
    ]),
    "sub vcl_init {",
    ...versions.flatMap(({ endpoints }, v) => directors(v, endpoints)),
    "  return (ok);",
    "}",
    asked(naming),
    route(
      versions.map(({ version }) => version),
      [index(soleVersion(table)), index(table.fallback)],
      table.unnamed.length === 0,
    ),
    rest(naming.header, settings),
    "",
  ].join("\n");
}

function flag(name: string): string {
  return `backend ${name} { .host = "127.0.0.1"; .port = "1"; }`;
}

function backend(name: string, { address, port }: Endpoint, settings: VclSettings): string {
  const { connect_timeout_ms, first_byte_timeout_ms, between_bytes_timeout_ms } = settings;
  return (
    `backend ${name} { .host = "${address}"; .port = "${port}"; .connect_timeout = ${connect_timeout_ms}ms; ` +
    `.first_byte_timeout = ${first_byte_timeout_ms}ms; .between_bytes_timeout = ${between_bytes_timeout_ms}ms; }`
  );
}

/** `d` spreads by weight. `r` is asked on a retry, because it can be asked for one that was not tried yet. */
function directors(v: number, endpoints: readonly Endpoint[]): string[] {
  return [
    `  new d${v} = directors.random();`,
    `  new r${v} = directors.shard();`,
    ...endpoints.flatMap(({ weight }, e) => [
      `  d${v}.add_backend(${backendName(v, e)}, ${weight}.0);`,
      `  r${v}.add_backend(${backendName(v, e)});`,
    ]),
    `  r${v}.reconfigure(8);`,
  ];
}

/** Whom a request names: by header, else by query parameter, else by cookie. `%2B` is the only letter of a version that is ever encoded. */
function asked({ header, query, cookie }: VersionNaming): string {
  const tries = [`if (req.http.${header} ~ ".") { set req.http.slotd-asked = req.http.${header}; }`];
  if (query !== null) {
    tries.push(
      `if (req.url ~ "^[^?#]*\\?(?:[^#]*&)?${query}=[^&#]") {\n` +
        `    set req.http.slotd-asked = regsub(req.url, "^[^?#]*\\?(?:[^#]*?&)??${query}=([^&#]+).*$", "\\1");\n  }`,
    );
  }
  if (cookie !== null) {
    tries.push(
      `if (req.http.Cookie ~ "(?:^|;) *${cookie}=[^;]") {\n` +
        `    set req.http.slotd-asked = regsub(req.http.Cookie, "^(?:.*?;)?? *${cookie}=([^; ]+).*$", "\\1");\n  }`,
    );
  }
  return [
    "sub slotd_asked {",
    "  unset req.http.slotd-asked;",
    "  unset req.http.slotd-version;",
    "  unset req.http.slotd-reason;",
    "  unset req.http.slotd-retry;",
    `  ${tries.join("\n  else")}`,
    '  set req.http.slotd-asked = regsuball(req.http.slotd-asked, "(?i)%2B", "+");',
    "}",
  ].join("\n");
}

function route(versions: string[], [byDefault, fallback]: [number, number], unrouted: boolean): string {
  const take = (v: number, condition: string) => [
    `  if (!req.http.slotd-version && ${condition} && std.healthy(${offeredFlag(v)}) && std.healthy(d${v}.backend())) {`,
    `    set req.http.slotd-version = "${versions[v]}";`,
    `    set req.backend_hint = d${v}.backend();`,
    "  }",
  ];
  const compiled = `std.healthy(${compiledFlag})`;
  const all = [...versions.keys()];
  return [
    "sub slotd_route {",
    ...all.flatMap((v) => take(v, `req.http.slotd-asked == "${versions[v]}"`)),
    ...[byDefault, fallback].filter((v) => v >= 0).flatMap((v) => take(v, compiled)),
    ...all.flatMap((v) => take(v, `!${compiled} && std.healthy(${defaultFlag(v)})`)),
    ...all.flatMap((v) => take(v, `!${compiled} && std.healthy(${fallbackFlag(v)})`)),
    "  if (!req.http.slotd-version) {",
    '    set req.http.slotd-reason = "NO_ENDPOINT";',
    `    if (${compiled} && ${unrouted}) { set req.http.slotd-reason = "NO_ROUTES"; }`,
    '    return (synth(503, "Service Unavailable"));',
    "  }",
    "}",
    "sub slotd_again {",
    ...versions.map(
      (version, v) =>
        `  if (bereq.http.slotd-version == "${version}") { set bereq.backend = ` +
        `r${v}.backend(by=KEY, key=r${v}.key(bereq.http.slotd-retry), alt=bereq.retries - 1); }`,
    ),
    "}",
  ].join("\n");
}

function rest(header: string, { cache, connect_timeout_ms }: VclSettings): string {
  const retryWithinMs = 500 + 4 * connect_timeout_ms;
  return `sub vcl_recv {
  call slotd_asked;
  call slotd_route;
  if (req.http.Upgrade && req.http.Upgrade !~ "(?i)^h2c" && req.http.Connection ~ "(?i)upgrade") { return (pipe); }
  if (req.method != "GET" && req.method != "HEAD" && req.method != "PRI") { return (pass); }
  # Nobody waits for the answer to somebody else's request, which may be a stream.
  set req.hash_ignore_busy = true;
${cache ? "" : "  return (pass);\n"}}
sub vcl_hash {
  hash_data(req.http.slotd-version);
}
sub vcl_pipe {
  unset bereq.http.slotd-asked;
  unset bereq.http.slotd-version;
  if (req.http.Upgrade) {
    set bereq.http.Upgrade = req.http.Upgrade;
    set bereq.http.Connection = req.http.Connection;
  }
}
sub vcl_backend_fetch {
  unset bereq.http.slotd-asked;
  if (bereq.retries > 0) { call slotd_again; }
}
sub vcl_backend_response {
  unset beresp.http.slotd-reason;
  # Kept is what says so, and nothing else.
  if (beresp.http.Cache-Control !~ "(?i)(?:s-maxage|max-age)=" && !beresp.http.Expires) {
    set beresp.uncacheable = true;
    set beresp.ttl = 1h;
  }
}
sub vcl_backend_error {
  # A body that was begun can't be sent again, and Varnish does not. So what has a body was not sent, and what has none must be safe to repeat.
  if (bereq.retries < 4 && now - bereq.time < ${retryWithinMs}ms
    && (bereq.method ~ "^(GET|HEAD|OPTIONS|TRACE|PUT|DELETE)$" || bereq.http.Content-Length ~ "[1-9]" || bereq.http.Transfer-Encoding)) {
    if (bereq.retries == 0) { set bereq.http.slotd-retry = bereq.xid; }
    return (retry);
  }
  set beresp.status = 503;
  set beresp.http.slotd-reason = "ENDPOINT_FAILED";
  set beresp.http.Content-Type = "application/json";
  set beresp.http.Cache-Control = "no-store";
  set beresp.body = {"{"code":"ENDPOINT_FAILED","message":"The endpoint did not answer." }"};
  return (deliver);
}
sub vcl_deliver {
  unset resp.http.${header};
  if (resp.http.slotd-reason) { unset resp.http.slotd-reason; }
  else { set resp.http.${header} = req.http.slotd-version; }
}
sub vcl_synth {
  if (req.http.slotd-reason) {
    set resp.http.Content-Type = "application/json";
    set resp.http.Cache-Control = "no-store";
    if (req.http.slotd-reason == "NO_ROUTES") {
      set resp.body = {"{"code":"NO_ROUTES","message":"There are no routes yet." }"};
    } else {
      set resp.body = {"{"code":"NO_ENDPOINT","message":"Nobody serves the default version." }"};
    }
    return (deliver);
  }
}`;
}
