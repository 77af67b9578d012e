import type { Endpoint, Table, VersionEndpoints, VersionNaming } from "../../table/table.ts";
import { soleVersion } from "../../table/unnamed.ts";
import { assertNaming, assertRenderable, assertService } from "../renderable.ts";
import type { VarnishConfig } from "./config.ts";
import { builtinSubroutines, type SubroutineSettings } from "./subroutines.ts";

/** The part of the configuration that is written into VCL. */
export type VclSettings = Pick<
  VarnishConfig,
  "shared" | "include" | "first_byte_timeout_ms" | "between_bytes_timeout_ms"
> &
  SubroutineSettings;

/**
 * Flags: backends that never get a request. The edge sets their health, which needs no compilation, to switch routes in
 * milliseconds.
 * - `compiled` is healthy: the default and the fallback are those that the VCL was compiled with, so that a new VCL is
 *   right at once. It is sick: the default is the version N whose `default_N` is healthy; the same for `fallback_N`.
 * - `offered_N` is healthy: requests may get version N. To withdraw a version, this flag becomes sick and its endpoints
 *   stay healthy: Varnish chooses the endpoint when it fetches, so a request that was routed just before still finds
 *   one.
 */
export const compiledFlag = "compiled";
export const defaultFlag = (index: number) => `default_${index}`;
export const fallbackFlag = (index: number) => `fallback_${index}`;
export const offeredFlag = (index: number) => `offered_${index}`;
export const backendName = (version: number, endpoint: number) => `b${version}_${endpoint}`;

/**
 * The versions that have endpoints; the VCL does not mention others. A version's index in this list is its number N in
 * the VCL.
 */
export const servedVersions = (table: Table) => table.versions.filter(({ endpoints }) => endpoints.length > 0);

/**
 * A table as VCL. Pure: the same table gives the same text.
 * @throws ProxyRejectedError if a name in it can't be written safely
 */
export function renderVcl(table: Table, naming: VersionNaming, settings: VclSettings): string {
  assertRenderable(table);
  assertService(table.service);
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
    retryElsewhere(versions),
    builtinSubroutines(naming, settings, settings.shared ? table.service : null),
    "",
  ].join("\n");
}

/**
 * A backend must have an address. A connection to this one fails at once, should the operator's own VCL ever use a flag
 * as a backend.
 */
function flag(name: string): string {
  return `backend ${name} { .host = "0.0.0.1"; .port = "1"; }`;
}

function backend(name: string, { address, port }: Endpoint, settings: VclSettings): string {
  const { connect_timeout_ms, first_byte_timeout_ms, between_bytes_timeout_ms } = settings;
  return (
    `backend ${name} { .host = "${address}"; .port = "${port}"; .connect_timeout = ${connect_timeout_ms}ms; ` +
    `.first_byte_timeout = ${first_byte_timeout_ms}ms; .between_bytes_timeout = ${between_bytes_timeout_ms}ms; }`
  );
}

/** Director `d` chooses by weight. A retry uses director `r`, which can choose an endpoint that was not tried yet. */
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

/**
 * The version that a request names: by header, else by query parameter, else by cookie. Of a version's characters only
 * `+` may come encoded.
 */
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
  ].join("\n");
}

/** Chooses the next endpoint of the same version. */
function retryElsewhere(versions: readonly VersionEndpoints[]): string {
  return [
    "sub slotd_again {",
    ...versions.map(
      ({ version }, v) =>
        `  if (bereq.http.slotd-version == "${version}") { set bereq.backend = ` +
        `r${v}.backend(by=KEY, key=r${v}.key(bereq.http.slotd-retry), alt=bereq.retries - 1); }`,
    ),
    "}",
  ].join("\n");
}
