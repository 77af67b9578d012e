import Table from "cli-table3";
import { terminalLine } from "../../protocol/terminal-text.ts";
import type { Colours } from "./colours.ts";

const NO_LINES = {
  ...{ top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "" },
  ...{ "bottom-right": "", left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "  " },
};

/** A table without lines. */
export function formatColumns(head: readonly string[], rows: readonly string[][], colours: Colours): string {
  const table = new Table({
    head: head.map((title) => colours.dim(title)),
    chars: NO_LINES,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  for (const row of rows) table.push(row.map((cell) => terminalLine(cell, { keepStyles: colours.isColorSupported })));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
