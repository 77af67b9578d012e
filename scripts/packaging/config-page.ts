import { readFileSync } from "node:fs";

/**
 * Prints docs/config.md as the man page slotd.toml(5), in man(7): the reference is written once.
 * Arguments: the file, the version. Understands what that file uses: headings, paragraphs, indented code, tables.
 */
const [file = "", version = ""] = process.argv.slice(2);

/** Characters that roff takes for something else; a leading dot or quote would be a request. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/, "\\&$1")
    .replaceAll("…", "\\[u2026]")
    .replaceAll("×", "\\(mu");
}

/** A line of prose: `code` and **bold** become bold, *words* italic, [text](link) its text. */
function inline(text: string): string {
  const parts = text.replace(/\[([^\]]+)\]\([^)]+\)/g, "$1").split("`");
  const marked = parts.map((part, i) => {
    if (i % 2 === 1) return `\\fB${roff(part)}\\fR`;
    const prose = i === 0 ? roff(part) : roff(part).replace(/^\\&/, "");
    return prose.replace(/\*\*([^*]+)\*\*/g, "\\fB$1\\fR").replace(/\*([^*]+)\*/g, "\\fI$1\\fR");
  });
  return marked.join("");
}

function cells(row: string): string[] {
  return row
    .slice(1, row.lastIndexOf("|"))
    .split("|")
    .map((cell) => cell.trim());
}

/** A row is a term with its text; a second column called `default` goes before the text. */
function table(rows: string[]): string[] {
  const [, second] = cells(rows[0] ?? "");
  return rows.slice(2).flatMap((row) => {
    const [term = "", ...rest] = cells(row);
    const [value = ""] = second === "default" ? rest.splice(0, 1) : [];
    const text = rest.filter((cell) => cell !== "").map(inline);
    if (value !== "") text.unshift(/required/.test(value) ? "Required." : `Default: ${inline(value)}.`);
    return [".TP", inline(term), ...(text.length > 0 ? text : ["\\&"])];
  });
}

function block(lines: string[]): string[] {
  const [first = ""] = lines;
  const heading = /^#+ (.*)$/.exec(first)?.[1];
  if (heading !== undefined) return first.startsWith("# ") ? [] : [`.SH ${inline(heading).toUpperCase()}`];
  if (first.startsWith("    "))
    return [".PP", ".RS 4", ".nf", ...lines.map((line) => roff(line.slice(4)) || ".sp"), ".fi", ".RE"];
  if (first.startsWith("|")) return table(lines);
  return [".PP", ...lines.map(inline)];
}

/** Blank lines end a block, but not code; a heading is a block of its own. */
function blocks(text: string): string[][] {
  return text
    .split(/\n(?:[ \t]*\n)+(?! {4})|(?<=^#.*)\n|(?<!^ {4}.*)\n\n(?= {4})/m)
    .map((part) => part.split("\n"))
    .map((lines) => lines.filter((line, i) => line !== "" || (i > 0 && i < lines.length - 1)))
    .filter((lines) => lines.length > 0);
}

const date = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString().slice(0, 10);
const body = blocks(readFileSync(file, "utf8"))
  .flatMap(block)
  .filter((line, i, lines) => line !== ".PP" || !lines[i - 1]?.startsWith(".SH"));
if (body[0] === ".PP") body.shift();
const head = [
  `.TH SLOTD.TOML 5 "${date}" "slotd ${version}" "File formats"`,
  ".SH NAME",
  "slotd.toml \\- configuration of the deploy agent slotd",
  ".SH DESCRIPTION",
];
const tail = [
  ".SH FILES",
  ".TP",
  "\\fI/etc/slotd/SERVICE.toml\\fR",
  "Read by slotd@SERVICE.service.",
  ".TP",
  "\\fI/usr/share/doc/slotd/examples/web.toml\\fR",
  "A sample with comments.",
  ".SH SEE ALSO",
  ".BR slotd (8),",
  ".BR slotctl (1),",
  ".BR slotd\\-controller (1)",
];
console.log([...head, ...body, ...tail].join("\n"));
