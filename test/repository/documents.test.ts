import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { repository } from "../support/release.ts";

const TOP = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"];
const PAGES = readdirSync(join(repository, "docs"))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`);
const EXAMPLES = readdirSync(join(repository, "examples"))
  .map((name) => `examples/${name}/README.md`)
  .filter((path) => existsSync(join(repository, path)));
const documents = [...TOP, ...PAGES, ...EXAMPLES, "systemd/README.md"];

/** A document without its code, which may look like links. */
function prose(path: string): string {
  return read(path)
    .replace(/^ {4}.*$/gm, "")
    .replace(/`[^`\n]*`/g, "code");
}

function read(path: string): string {
  return readFileSync(join(repository, path), "utf8");
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("the documents", () => {
  it("every link leads to a file, and to a heading of it", () => {
    let found = 0;
    for (const document of documents) {
      for (const [, target = ""] of prose(document).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const [file = "", anchor] = target.split("#");
        const path = file === "" ? document : normalize(join(dirname(document), file));
        assert.ok(existsSync(join(repository, path)), `${document}: ${target}`);
        if (anchor === undefined || statSync(join(repository, path)).isDirectory()) continue;
        assert.ok(anchors(path).includes(anchor), `${document}: ${target}`);
        found++;
      }
    }
    assert.ok(found > 3, "links to headings are found");
  });

  it("the README lists every page, itself or through a page of its family", () => {
    const readme = read("README.md");
    for (const page of PAGES) assert.ok(readme.includes(`(${page})`), page);
  });

  it("whoever follows one page after the other never publishes two archives as one version", () => {
    const archives = new Map<string, string>();
    for (const document of documents) {
      for (const [, version = "", archive = ""] of read(document).matchAll(
        /^ {4}slotd-controller publish (hello \S+) (\S+)/gm,
      )) {
        const before = archives.get(version) ?? archive;
        assert.equal(archive, before, `${document}: ${version}`);
        archives.set(version, archive);
      }
    }
    assert.ok(archives.size > 4, "they are found");
  });
});
