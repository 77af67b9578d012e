import { open } from "node:fs/promises";
import { SourceFault } from "./source-fault.ts";

const MAX_BYTES = 64 * 1024;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e]+$/;
/** Headers that slotd and its HTTP client set themselves. */
const TAKEN = [
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "keep-alive",
  "range",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/**
 * Reads headers from a file of `Name: value` lines; empty lines and lines that begin with `#` are skipped. Names are
 * returned in lower case.
 * @throws SourceFault that names the file and the line, and never what is in it: a line that is malformed may be a
 * password.
 */
export async function readHeaders(path: string | null): Promise<Record<string, string>> {
  if (path === null) return {};
  const headers = new Map<string, string>();
  for (const [i, line] of (await linesOf(path)).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const refuse = (why: string) => new SourceFault("headers", `line ${i + 1} of ${path} ${why}`);
    if (colon < 0) throw refuse("has no colon");
    if (!NAME.test(name)) throw refuse("does not begin with the name of a header");
    if (TAKEN.includes(name)) throw refuse(`sets ${name}, which is not for it to set`);
    if (headers.has(name)) throw refuse("repeats the name of a line before");
    if (value === "") throw refuse("has no value");
    if (!VALUE.test(value)) throw refuse("has a character in its value that no header can carry");
    headers.set(name, value);
  }
  return Object.fromEntries(headers);
}

async function linesOf(path: string): Promise<string[]> {
  try {
    const file = await open(path, "r");
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new SourceFault("headers", `${path} is not a file`);
      if (stats.size > MAX_BYTES) throw new SourceFault("headers", `${path} has more than ${MAX_BYTES} bytes`);
      return (await file.readFile("utf8")).split(/\r?\n/);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof SourceFault) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SourceFault("headers", `${path} can't be read (${code ?? message})`, { cause: error });
  }
}
