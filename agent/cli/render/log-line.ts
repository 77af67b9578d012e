import type { Colors } from "picocolors/types.js";
import type { LogLine } from "../client.ts";
import { oneLine, outputLine } from "./text.ts";

const palette = ["cyan", "green", "magenta", "yellow", "blue", "red"] as const;

/** `a/0 | line`. On a terminal, the prefix has a colour per worker, and control sequences are removed from the line. */
export function logText({ slot, worker, line }: LogLine, colors: Colors, forTerminal: boolean): string {
  const seed = [...slot].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) * 3 + worker;
  const paint = colors[palette[seed % palette.length] ?? "cyan"];
  const writer = forTerminal ? oneLine(slot) : slot;
  return `${paint(`${writer}/${worker} |`)} ${forTerminal ? outputLine(line, colors.isColorSupported) : line}`;
}
