import type { VersionNaming } from "../../table/table.ts";
import type { VarnishConfig } from "./config.ts";

export type SubroutineSettings = Pick<VarnishConfig, "cache" | "connect_timeout_ms">;

/**
 * The subroutines that Varnish calls itself. They are the same for every table. The header of `naming` names the
 * version that answered.
 * @param service one of several that share the cache; null if there is only one
 */
export function builtinSubroutines(
  naming: VersionNaming,
  settings: SubroutineSettings,
  service: string | null,
): string {
  return [
    receive(settings),
    hash(service),
    pipe,
    backendFetch,
    backendResponse,
    backendError(settings),
    deliver(naming),
    synth,
  ].join("\n");
}

function receive({ cache }: SubroutineSettings): string {
  return `sub vcl_recv {
  call slotd_asked;
  call slotd_route;
  if (req.http.Upgrade && req.http.Upgrade !~ "(?i)^h2c" && req.http.Connection ~ "(?i)upgrade") { return (pipe); }
  if (req.method != "GET" && req.method != "HEAD" && req.method != "PRI") { return (pass); }
  # No request waits for the response to another one, which may be a stream.
  set req.hash_ignore_busy = true;
${cache ? "" : "  return (pass);\n"}}`;
}

/** Each version of each service has its own part of the cache. */
const hash = (service: string | null) => `sub vcl_hash {
${service === null ? "" : `  hash_data("${service}");\n`}  hash_data(req.http.slotd-version);
}`;

const pipe = `sub vcl_pipe {
  unset bereq.http.slotd-asked;
  unset bereq.http.slotd-version;
  if (req.http.Upgrade) {
    set bereq.http.Upgrade = req.http.Upgrade;
    set bereq.http.Connection = req.http.Connection;
  }
}`;

const backendFetch = `sub vcl_backend_fetch {
  unset bereq.http.slotd-asked;
  if (bereq.retries > 0) { call slotd_again; }
}`;

const backendResponse = `sub vcl_backend_response {
  unset beresp.http.slotd-reason;
  # Only responses that say so are cached.
  if (beresp.http.Cache-Control !~ "(?i)(?:s-maxage|max-age)=" && !beresp.http.Expires) {
    set beresp.uncacheable = true;
    set beresp.ttl = 1h;
  }
}`;

/** Retries on another endpoint, or answers 503. */
function backendError({ connect_timeout_ms }: SubroutineSettings): string {
  const retryWithinMs = 500 + 4 * connect_timeout_ms;
  return `sub vcl_backend_error {
  # Varnish can't send a body twice, so it gets here with a body only if it sent nothing. Without a body, the method must be safe to repeat.
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
}`;
}

/** Tells caches in front what a response depends on, and that one with a cookie is for one user. */
function deliver({ header, cookie }: VersionNaming): string {
  const vary = cookie === null ? [header] : [header, "Cookie"];
  return `sub vcl_deliver {
  unset resp.http.${header};
  if (resp.http.slotd-reason) { unset resp.http.slotd-reason; }
  else {
    set resp.http.${header} = req.http.slotd-version;
    std.collect(resp.http.Vary);
${vary.map((name) => varyOn(name)).join("\n")}
    if (resp.http.Set-Cookie) {
      std.collect(resp.http.Cache-Control);
      set resp.http.Cache-Control = regsuball(resp.http.Cache-Control, "(?i)(^|[ ,])public([ ,]|$)", "\\1private\\2");
      if (resp.http.Cache-Control == "") { set resp.http.Cache-Control = "private"; }
      elsif (resp.http.Cache-Control !~ "(?i)(^|[ ,])(private|no-store)([ ,]|$)") {
        set resp.http.Cache-Control = resp.http.Cache-Control + ", private";
      }
    }
  }
}`;
}

function varyOn(name: string): string {
  return `    if (!resp.http.Vary) { set resp.http.Vary = "${name}"; }
    elsif (resp.http.Vary !~ "(?i)(^|[ ,])${name}([ ,]|$)") { set resp.http.Vary = resp.http.Vary + ", ${name}"; }`;
}

const synth = `sub vcl_synth {
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
