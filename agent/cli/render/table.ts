import Table from "cli-table3";
import type { Colors } from "picocolors/types.js";
import { terminalLine } from "../../../protocol/terminal-text.ts";

const none = "";
const noFrame = {
  top: none,
  "top-mid": none,
  "top-left": none,
  "top-right": none,
  bottom: none,
  "bottom-mid": none,
  "bottom-left": none,
  "bottom-right": none,
  left: none,
  "left-mid": none,
  mid: none,
  "mid-mid": none,
  right: none,
  "right-mid": none,
  middle: "  ",
};

/** Columns without a frame, under a dim heading. `right` names the headings of columns with numbers. */
export function table(
  colors: Colors,
  head: readonly string[],
  rows: readonly string[][],
  right: readonly string[] = [],
): string[] {
  const sheet = new Table({
    chars: noFrame,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: head.map((title) => (right.includes(title) ? "right" : "left")),
    head: head.map((title) => colors.dim(title)),
  });
  const styles = { keepStyles: colors.isColorSupported };
  sheet.push(...rows.map((row) => row.map((cell) => terminalLine(cell, styles))));
  return sheet
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}
