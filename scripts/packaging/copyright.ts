import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Prints the package's copyright file in Debian's machine-readable format: slotd's own license, and that of each npm
 * package in a bundle. Arguments: the runtime's directory, packages that are not bundled, as `+DIR`, and esbuild's
 * metafiles.
 */
const [runtime = "", ...rest] = process.argv.slice(2);

const directories = new Set(rest.filter((word) => word.startsWith("+")).map((word) => word.slice(1)));
for (const file of rest.filter((word) => !word.startsWith("+"))) {
  const { inputs } = JSON.parse(readFileSync(file, "utf8")) as { inputs: Record<string, unknown> };
  for (const input of Object.keys(inputs)) {
    const directory = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
    if (directory !== undefined) directories.add(directory);
  }
}

function stanza(files: string, comment: string, owner: string, license: string, text: string): string {
  const lines = text.trim().split("\n");
  const body = lines.map((line) => (line.trim() === "" ? " ." : ` ${line.trimEnd()}`));
  return [`Files: ${files}`, `Comment: ${comment}`, `Copyright: ${owner}`, `License: ${license}`, ...body].join("\n");
}

function ofPackage(directory: string): string {
  const about = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as {
    name: string;
    version: string;
    license?: string;
    author?: string | { name: string };
  };
  const author = typeof about.author === "string" ? about.author : about.author?.name;
  const file = readdirSync(directory).find((name) => /^licen[cs]e/i.test(name));
  const text = file ? readFileSync(join(directory, file), "utf8") : `${about.license}, as its package.json says.`;
  const owner = /^.*copyright .*$/im.exec(text)?.[0].trim() ?? `the authors of ${about.name}`;
  const [name, license] = [`${about.name} ${about.version}`, about.license ?? "unknown"];
  return stanza("usr/lib/slotd/*", name, author ?? owner, license, license === "Apache-2.0" ? APACHE : text);
}

/** Debian installs common license texts once, for all packages. */
const APACHE = "On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.";

const own = stanza("*", "slotd", "the authors of slotd", "Apache-2.0", APACHE);
const node = join(runtime, "LICENSE");
const stanzas = [
  "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: slotd",
  own,
  ...[...directories].sort().map(ofPackage),
  ...(existsSync(node)
    ? [
        stanza(
          "usr/lib/slotd/bin/node",
          "Node.js",
          "Node.js contributors, and those named in the text",
          "Node",
          readFileSync(node, "utf8"),
        ),
      ]
    : []),
];
console.log(stanzas.join("\n\n"));
