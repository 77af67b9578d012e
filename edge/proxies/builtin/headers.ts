import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

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

/** Whether a body follows: RFC 9112, section 6. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
