import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { VersionNaming } from "../../table/table.ts";

/** Hop-by-hop headers, which are not forwarded: RFC 9110, section 7.6.1. */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

function hopByHop(headers: IncomingHttpHeaders): Set<string> {
  const named = [headers.connection ?? ""].flat().join(",").split(",");
  return new Set([...HOP_BY_HOP, ...named.map((name) => name.trim().toLowerCase())]);
}

/** The request's headers for an endpoint, as alternating names and values, with `X-Forwarded-*` added. */
export function requestHeaders(request: IncomingMessage): string[] {
  const { headers, rawHeaders, socket } = request;
  // The router has already answered `expect`.
  const left = new Set([...hopByHop(headers), "expect", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]);
  const passed: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i] as string, rawHeaders[i + 1] as string];
    if (!left.has(name.toLowerCase())) passed.push(name, value);
  }
  const asked = [headers["x-forwarded-for"], socket.remoteAddress].flat().filter((address) => address !== undefined);
  passed.push("x-forwarded-for", asked.join(", "), "x-forwarded-proto", "http");
  if (headers.host !== undefined) passed.push("x-forwarded-host", headers.host);
  return passed;
}

/** The response's headers for the client. */
export function responseHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const left = hopByHop(headers);
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (left.has(name) || value === undefined ? [] : [[name, value]])),
  );
}

/**
 * Tells caches in front what a response depends on, and that one with a cookie is for one user.
 * @param headers the response's, by lower-case names
 */
export function cacheHeaders(headers: IncomingHttpHeaders, { header, cookie }: VersionNaming): Record<string, string> {
  const vary = listOf(headers.vary);
  for (const name of cookie === null ? [header] : [header, "Cookie"])
    if (!vary.some((other) => other.toLowerCase() === name.toLowerCase())) vary.push(name);
  if (headers["set-cookie"] === undefined) return { vary: vary.join(", ") };
  const directives = listOf(headers["cache-control"]).filter((directive) => directive.toLowerCase() !== "public");
  const isPrivate = directives.some((directive) => ["private", "no-store"].includes(directive.toLowerCase()));
  return { vary: vary.join(", "), "cache-control": [...directives, ...(isPrivate ? [] : ["private"])].join(", ") };
}

function listOf(value: string | string[] | undefined): string[] {
  const values = [value ?? []].flat().join(",").split(",");
  return values.map((each) => each.trim()).filter((each) => each !== "");
}

/** Whether a body follows: RFC 9112, section 6. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
