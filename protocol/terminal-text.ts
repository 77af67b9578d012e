const ESC = "\u001b";
/** A colour or a style that this project's programs use themselves: dim, red, green, yellow, bold, and their ends. */
const OWN_STYLE = `${ESC}\\[(?:0|1|2|22|31|32|33|36|39)m`;
/** An escape sequence: CSI; OSC, DCS, PM, APC or SOS with its text; any other. Some have an 8-bit form. */
const SEQUENCE =
  `(?:${ESC}\\[|\\u009b)[\\d:;<=>?]*[ -/]*[@-~]?` +
  `|(?:${ESC}[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\p{Cc}]*(?:${ESC}\\\\|\\p{Cc})?` +
  `|${ESC}[ -/]*[0-~]?`;
/** Marks and overrides of the direction of text: they show a line in another order than it has. */
const DIRECTIONS = "[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]";
const STEERING = new RegExp(`(${OWN_STYLE})|${SEQUENCE}|${DIRECTIONS}|[^\\P{Cc}\\t\\n]`, "gu");
/** What JSON leaves as it is, and a terminal might act on. */
const UNESCAPED = new RegExp(`${DIRECTIONS}|[\\u007f-\\u009f]`, "gu");

/**
 * Text for a terminal. Whatever of it came from elsewhere can't move the cursor, change the terminal or its clipboard,
 * or turn the order of characters round. Lines and tabs stay.
 * @param keepStyles whether the program's own colours stay
 */
export function terminalText(text: string, { keepStyles = false }: { keepStyles?: boolean } = {}): string {
  return text.replace(STEERING, (_match, style: string | undefined) => (keepStyles && style) || "");
}

/** The same in one line. */
export function terminalLine(text: string, options?: { keepStyles?: boolean }): string {
  return terminalText(text.replace(/\s*[\r\n]+\s*/gu, " "), options);
}

/** JSON of a value in one line that says the same, with nothing in it that a terminal acts on. */
export function terminalJson(value: unknown): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(UNESCAPED, escaped);
}
