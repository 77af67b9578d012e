const ESC = "\u001b";
const STYLE = `${ESC}\\[[\\d;]*m`;
const SEQUENCE = `${ESC}(?:\\[[\\d;?]*[ -/]*[@-~]|\\][^\\p{Cc}]*(?:${ESC}\\\\|\\p{Cc})?|.?)`;
const CONTROLS = new RegExp(`(${STYLE})|${SEQUENCE}|[^\\P{Cc}\\t]`, "gu");

/** Untrusted text as one line that is safe for a terminal: without control characters and escape sequences. */
export function oneLine(text: string): string {
  return text.replace(/\s+/gu, " ").replace(CONTROLS, "").trim();
}

/** A line of output that is safe for a terminal: keeps colours if wanted, and removes other control sequences. */
export function printable(line: string, keepColors: boolean): string {
  let styled = false;
  const kept = line.replace(CONTROLS, (_match, style: string | undefined) => {
    if (style === undefined || !keepColors) return "";
    styled = true;
    return style;
  });
  return styled ? `${kept}${ESC}[0m` : kept;
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
