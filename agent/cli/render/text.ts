import { terminalLine, terminalText } from "../../../protocol/terminal-text.ts";

const ESC = "\u001b";
/** A colour or style: ECMA-48, SGR. */
const STYLE = new RegExp(`(${ESC}\\[[\\d;:]*m)`);
/** A style that hides what follows. */
const CONCEALS = /[[;]8[;m]/;

/** A text from elsewhere as one line that can't steer a terminal, without colours. */
export function oneLine(text: string): string {
  return terminalLine(text).replace(/\s+/gu, " ").trim();
}

/** A line of an app's output for a terminal: its colours may stay; whatever else would steer the terminal goes. */
export function outputLine(line: string, keepColors: boolean): string {
  const parts = line.split(STYLE).map((part, i) => {
    if (i % 2 === 0) return terminalText(part);
    return keepColors && !CONCEALS.test(part) ? part : "";
  });
  const styled = keepColors && parts.some((part, i) => i % 2 === 1 && part !== "");
  return parts.join("") + (styled ? `${ESC}[0m` : "");
}

/** Shortens in the middle, since both ends of an id or a version distinguish it. */
export function shorten(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const tail = Math.floor((longest - 1) / 3);
  return `${text.slice(0, longest - 1 - tail)}…${text.slice(text.length - tail)}`;
}

/** Wraps a sentence to lines of at most `columns`. All lines but the first are indented. */
export function wrap(text: string, columns: number, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const room = columns - (lines.length === 0 ? 0 : indent);
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((part, i) => (i === 0 ? part : " ".repeat(indent) + part));
}
