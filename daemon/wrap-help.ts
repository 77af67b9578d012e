const DEFAULT_COLUMNS = 80;
/** Longer lines are hard to read. */
const MOST_COLUMNS = 120;

/** How wide help is printed. @param columns of the terminal, if there is one */
export function helpWidth(columns: number | undefined): number {
  return columns ? Math.min(columns, MOST_COLUMNS) : DEFAULT_COLUMNS;
}

/**
 * Wraps a help text between words, however its paragraphs are broken in the source. Indented lines, such as options and
 * examples, stay as they are.
 */
export function wrapHelp(text: string, columns: number): string {
  const lines: string[] = [];
  let isOpen = false;
  for (const line of text.split("\n")) {
    const isPlain = line !== "" && !line.startsWith(" ");
    const before = isPlain && isOpen ? [lines.pop() as string] : [];
    lines.push(...(isPlain ? wrapped([...before, line].join(" "), columns) : [line]));
    isOpen = isPlain;
  }
  return lines.join("\n");
}

function wrapped(paragraph: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of paragraph.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
