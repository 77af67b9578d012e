import type { IncomingMessage } from "node:http";
import type { VersionNaming } from "../../table/table.ts";

/** The version that a request names: by header, else by query, else by cookie; null if it names none. */
export function namedVersion({ headers, url = "" }: Pick<IncomingMessage, "headers" | "url">, naming: VersionNaming) {
  const [byHeader] = [headers[naming.header.toLowerCase()]].flat();
  return byHeader || inQuery(url, naming.query) || inCookie(headers.cookie, naming.cookie) || null;
}

function inQuery(url: string, name: string | null): string | null {
  const mark = url.indexOf("?");
  return name === null || mark < 0 ? null : new URLSearchParams(url.slice(mark + 1)).get(name);
}

function inCookie(header: string | undefined, name: string | null): string | null {
  if (header === undefined || name === null) return null;
  for (const pair of header.split(";")) {
    const mark = pair.indexOf("=");
    if (mark > 0 && pair.slice(0, mark).trim() === name) return decoded(pair.slice(mark + 1).trim());
  }
  return null;
}

/** A cookie is often written by encodeURIComponent, which changes the `+` of a version. */
function decoded(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}
