import { readFileSync } from "node:fs";

/**
 * Prints documents as the man page of a configuration, in man(7), so that the reference is written only once.
 * Arguments: the page, the version, the files. Understands the Markdown in these files: headings, paragraphs, lists,
 * indented code and tables. The sections of the first file become the page's sections. The title of every other file
 * becomes a section, and that file's sections its subsections.
 */
const [page = "", version = "", ...files] = process.argv.slice(2);

const pages: Record<string, { about: string; files: [path: string, text: string][]; seeAlso: string[] }> = {
  "slotd.toml": {
    about: "configuration of the deploy agent slotd",
    files: [
      ["/etc/slotd/SERVICE.toml", "Read by slotd@SERVICE.service."],
      ["/usr/share/doc/slotd/examples/web.toml", "A sample with comments."],
    ],
    seeAlso: ["slotd (8)", "slotctl (1)", "slotd-controller (1)"],
  },
  "slotd-edge.toml": {
    about: "configuration of slotd-edge, and of the proxies that it controls",
    files: [
      ["/etc/slotd-edge/SERVICE.toml", "Read by slotd-edge@SERVICE.service."],
      ["/var/lib/slotd-edge/SERVICE", "The last good table, and the files that the proxy starts from."],
      ["/usr/share/doc/slotd/examples/edge.toml", "A sample with comments."],
    ],
    seeAlso: ["slotd-edge (8)", "slotd-controller (1)", "slotd.toml (5)", "haproxy (1)", "varnishd (1)"],
  },
};

/** Escapes characters that roff treats specially; a leading dot or quote would be a request. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/, "\\&$1")
    .replaceAll("…", "\\[u2026]")
    .replaceAll("×", "\\(mu");
}

/** Formats a line of prose: `code` and **bold** become bold, *words* italic, [text](link) its text. */
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

/** Each row becomes a term with its text. A second column named `default` comes before the text. */
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

const ITEM = /^(-|\d+\.) +(.*)$/;

/** Items begin with `- ` or `1. `. Indented lines below an item belong to it, even after code. */
function list(lines: string[]): string[] {
  return lines.flatMap((line, i) => {
    const [, mark, text] = ITEM.exec(line) ?? [];
    if (mark === undefined || text === undefined) return [...(i === 0 ? ['.IP "" 4'] : []), inline(line.trim())];
    return [mark === "-" ? ".IP \\(bu 2" : `.IP ${mark} 4`, inline(text)];
  });
}

function code(lines: string[]): string[] {
  const indent = Math.min(...lines.filter((line) => line !== "").map((line) => line.search(/\S/)));
  return [".PP", ".RS 4", ".nf", ...lines.map((line) => roff(line.slice(indent)) || ".sp"), ".fi", ".RE"];
}

/** Everything but code, which names keys. */
function upperCase(text: string): string {
  return text
    .split("`")
    .map((part, i) => (i % 2 === 1 ? part : part.toUpperCase()))
    .join("`");
}

/** @param top level of the headings that become sections of the page */
function block(lines: string[], top: number): string[] {
  const [first = ""] = lines;
  const [, marks, heading] = /^(#+) (.*)$/.exec(first) ?? [];
  if (marks !== undefined && heading !== undefined) {
    if (marks.length < top) return [];
    return [marks.length === top ? `.SH "${inline(upperCase(heading))}"` : `.SS "${inline(heading)}"`];
  }
  if (first.startsWith("    ")) return code(lines);
  if (first.startsWith("|")) return table(lines);
  if (ITEM.test(first) || first.startsWith("   ")) return list(lines);
  return [".PP", ...lines.map(inline)];
}

/** Blank lines end a block, except in code; a heading is its own block. */
function blocks(text: string): string[][] {
  return text
    .split(/\n(?:[ \t]*\n)+(?! {4})|(?<=^#.*)\n|(?<!^ {4}.*)\n\n(?= {4})/m)
    .map((part) => part.split("\n"))
    .map((lines) => lines.filter((line, i) => line !== "" || (i > 0 && i < lines.length - 1)))
    .filter((lines) => lines.length > 0);
}

const date = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString().slice(0, 10);
const about = pages[page];
if (about === undefined) throw new Error(`there is no page ${page}`);
const body = files
  .flatMap((file, i) => blocks(readFileSync(file, "utf8")).flatMap((lines) => block(lines, i === 0 ? 2 : 1)))
  .filter((line, i, lines) => line !== ".PP" || !/^\.S[HS]/.test(lines[i - 1] ?? ""));
if (body[0] === ".PP") body.shift();
const head = [
  `.TH ${page.toUpperCase()} 5 "${date}" "slotd ${version}" "File formats"`,
  ".SH NAME",
  `${roff(page)} \\- ${about.about}`,
  ".SH DESCRIPTION",
];
const tail = [
  ".SH FILES",
  ...about.files.flatMap(([path, text]) => [".TP", `\\fI${path}\\fR`, text]),
  '.SH "SEE ALSO"',
  ...about.seeAlso.map((name, i, all) => `.BR ${roff(name)}${i < all.length - 1 ? "," : ""}`),
];
console.log([...head, ...body, ...tail].join("\n"));
