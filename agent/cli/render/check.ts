import type { Colors } from "picocolors/types.js";
import type { Check } from "../doctor/check.ts";
import { oneLine, wrap } from "./text.ts";

const marks = { ok: "✓", warn: "!", fail: "✗" } as const;
const NAME_WIDTH = 17;

/** A check on one line, with its fix below. */
export function checkLines({ name, ok, found, fix }: Check, colors: Colors, columns: number): string[] {
  const paint = { ok: colors.green, warn: colors.yellow, fail: colors.red }[ok];
  const lead = name.padEnd(NAME_WIDTH - 2);
  const room = Math.max(40, columns) - 2;
  const [first = "", ...rest] = wrap(`${lead} ${oneLine(found)}`, room, NAME_WIDTH - 1);
  const below = fix === undefined ? [] : wrap(`→ ${oneLine(fix)}`, room - NAME_WIDTH, 2);
  return [
    `${paint(marks[ok])} ${first}`,
    ...rest.map((line) => `  ${line}`),
    ...below.map((line) => `${" ".repeat(NAME_WIDTH + 1)}${colors.bold(line)}`),
  ];
}
