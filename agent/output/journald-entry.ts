import { bootId } from "../os/process.ts";
import type { OutputLine } from "./worker-output.ts";

/** A line, and where it stands in the journal. */
export interface Entry {
  cursor: string;
  line: OutputLine;
}

/** Options of journalctl for entries that `parseEntry` reads. */
export const JSON_LINES = [
  "--output=json",
  "--output-fields=MESSAGE,SYSLOG_IDENTIFIER",
  "--all",
  "--quiet",
  "--no-pager",
] as const;

/** An entry as journalctl gives it; null where it is none, or cut off by journalctl's end. */
export function parseEntry(json: string): { identifier: string; message: string; cursor: string } | null {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return null;
  }
  const { SYSLOG_IDENTIFIER: identifier, MESSAGE: message, __CURSOR: cursor } = entry;
  if (typeof identifier !== "string" || typeof cursor !== "string") return null;
  // A message that is no printable UTF-8 is given as its bytes.
  if (Array.isArray(message)) return { identifier, message: Buffer.from(message as number[]).toString("utf8"), cursor };
  return typeof message === "string" ? { identifier, message, cursor } : null;
}

/**
 * Whether one entry of the journal stands after another, compared as systemd does it: by number, else by the boot's
 * clock, else by the time.
 */
export function isAfter(cursor: string, other: string): boolean {
  const [one, two] = [fields(cursor), fields(other)];
  for (const [same, ordered] of [
    ["s", "i"],
    ["b", "m"],
  ] as const)
    if (one.get(same) !== undefined && one.get(same) === two.get(same))
      return number(one, ordered) > number(two, ordered);
  return number(one, "t") > number(two, "t");
}

/** A place in the journal that all later entries stand after: by this boot's clock, elsewhere by the time. */
export function cursorOfNow(): string {
  const hex = (microseconds: bigint) => microseconds.toString(16);
  const [clock, time] = [process.hrtime.bigint() / 1_000n, BigInt(Date.now()) * 1_000n];
  return `b=${bootId().replaceAll("-", "")};m=${hex(clock)};t=${hex(time)}`;
}

/** Whether a text is a cursor that entries can be compared with. */
export function isCursor(text: string): boolean {
  return /(?:^|;)t=[0-9a-f]{1,16}(?:;|$)/.test(text);
}

function fields(cursor: string): Map<string, string> {
  return new Map(cursor.split(";").map((field) => [field.slice(0, 1), field.slice(2)]));
}

function number(from: Map<string, string>, name: string): bigint {
  return BigInt(`0x${from.get(name) || "0"}`);
}
