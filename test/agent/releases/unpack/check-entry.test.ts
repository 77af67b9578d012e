import assert from "node:assert/strict";
import { posix } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkEntry, type EntryFacts, fold, type NodeKind } from "../../../../agent/releases/unpack/check-entry.ts";

type Tree = Map<string, { path: string; kind: NodeKind }>;

const file = (path: string, more: Partial<EntryFacts> = {}): EntryFacts => ({
  path,
  type: "file",
  linkpath: "",
  mode: 0o644,
  ...more,
});
const symlink = (path: string, linkpath: string) => file(path, { type: "symlink", linkpath, mode: 0o777 });

/** Checks entries in turn, and takes the accepted ones into the tree. */
function feed(entries: EntryFacts[]): { tree: Tree; rules: (string | null)[]; links: Map<string, string> } {
  const tree: Tree = new Map();
  const links = new Map<string, string>();
  const rules = entries.map((entry) => {
    const verdict = checkEntry(entry, tree);
    if ("rule" in verdict) return verdict.rule;
    for (const add of verdict.adds) tree.set(fold(add.path), add);
    if (verdict.kind === "symlink") links.set(verdict.path, verdict.target);
    return null;
  });
  return { tree, rules, links };
}

const lastRule = (...entries: EntryFacts[]) => feed(entries).rules.at(-1);

describe("an entry", () => {
  const accepted: [string, EntryFacts[]][] = [
    ["a plain file", [file("a")]],
    ["a leading ./", [file("./a/b")]],
    ["the tree itself as a directory", [file("./", { type: "directory" }), file("a")]],
    ["a directory named twice", [file("a/", { type: "directory" }), file("a", { type: "directory" })]],
    ["a directory that a file implied before", [file("a/b"), file("a/", { type: "directory" })]],
    ["a symbolic link to a sibling", [symlink("a/b", "c")]],
    ["a symbolic link that climbs within the tree", [symlink("a/b/c", "../../d/e")]],
    ["a symbolic link to the tree itself", [symlink("a", ".")]],
    ["a hard link to an earlier file", [file("a"), file("b", { type: "hardlink", linkpath: "./a" })]],
    ["names in other scripts", [file("página/日本語.txt")]],
    ["a name of 255 bytes", [file("x".repeat(255))]],
    ["dots that are no '..'", [file("a/..b/...")]],
  ];
  for (const [what, entries] of accepted) {
    it(`is accepted: ${what}`, () => {
      assert.deepEqual(
        feed(entries).rules,
        entries.map(() => null),
      );
    });
  }

  const refused: [string, RegExp, EntryFacts[]][] = [
    ["an absolute name", /absolute name/, [file("/etc/passwd")]],
    ["an absolute name behind ./", /empty part/, [file(".//etc/passwd")]],
    ["'..' as a name", /'\.\.'/, [file("..")]],
    ["'..' in the middle", /'\.\.'/, [file("a/../../b")]],
    ["'..' at the end of a directory", /'\.\.'/, [file("a/../", { type: "directory" })]],
    ["no name", /no name/, [file("")]],
    ["the tree itself as a file", /no name/, [file("./")]],
    ["an empty part", /empty part/, [file("a//b")]],
    ["a NUL", /control character/, [file("a\0b")]],
    ["a newline", /control character/, [file("a\nb")]],
    ["an escape character", /control character/, [file("a\u001b[2Jb")]],
    ["a backslash", /backslash/, [file("..\\a")]],
    ["bytes that were not UTF-8", /not UTF-8/, [file("a\ufffd")]],
    ["a lone surrogate", /not UTF-8/, [file("a\ud800")]],
    ["a part that is too long", /longer than 255/, [file("é".repeat(128))]],
    ["a path that is too long", /longer than 4096/, [file("abc/".repeat(1100))]],
    ["a device", /of type CharacterDevice/, [file("a", { type: "CharacterDevice" })]],
    ["setuid", /setuid/, [file("a", { mode: 0o4755 })]],
    ["setgid on a directory", /setgid/, [file("a", { type: "directory", mode: 0o2755 })]],
    ["the sticky bit", /sticky/, [file("a", { mode: 0o1777 })]],
    ["the same file twice", /twice/, [file("a"), file("./a")]],
    ["a directory where a file is", /twice/, [file("a"), file("a/", { type: "directory" })]],
    ["a link where a directory is", /twice/, [file("a/b"), symlink("a", "c")]],
    ["a file in a file", /not a directory/, [file("a"), file("a/b")]],
    ["another case", /only in case/, [file("README"), file("readme")]],
    ["another case of an implied directory", /only in case/, [file("Lib/a"), file("lib/b")]],
    ["another Unicode form", /Unicode form/, [file("caf\u00e9"), file("cafe\u0301")]],
    ["a symbolic link to an absolute path", /absolute path/, [symlink("a", "/etc/passwd")]],
    ["a symbolic link that leads outside", /leads outside/, [symlink("a/b", "../../c")]],
    ["a symbolic link that leads outside slowly", /leads outside/, [symlink("a/b", ".././../c")]],
    // d leads to s, so t/d/../.. is outside, though its name is not.
    ["a symbolic link with '..' after a name", /after a name/, [symlink("s/t/d", ".."), symlink("e", "s/t/d/../..")]],
    ["a symbolic link to nothing", /to nothing/, [symlink("a", "")]],
    ["a symbolic link with a newline", /control character/, [symlink("a", "b\nc")]],
    ["a name below a symbolic link", /through the symbolic link "a"/, [symlink("a", "b"), file("a/c")]],
    ["a name deep below one", /through the symbolic link "a"/, [symlink("a", "b"), file("a/c/d/e")]],
    ["a hard link to outside", /target has '\.\.'/, [file("a", { type: "hardlink", linkpath: "../b" })]],
    ["a hard link to an absolute path", /target has an absolute/, [file("a", { type: "hardlink", linkpath: "/b" })]],
    ["a hard link to what is not there", /not an earlier file/, [file("a", { type: "hardlink", linkpath: "b" })]],
    [
      "a hard link to a symbolic link",
      /not an earlier file/,
      [symlink("a", "b"), file("c", { type: "hardlink", linkpath: "a" })],
    ],
    [
      "a hard link to a file by another case",
      /not an earlier file/,
      [file("a"), file("c", { type: "hardlink", linkpath: "A" })],
    ],
  ];
  for (const [what, rule, entries] of refused) {
    it(`is refused: ${what}`, () => {
      assert.match(lastRule(...entries) ?? "(accepted)", rule);
    });
  }
});

const part = fc.constantFrom("..", ".", "", "a", "A", "b", "é", "e\u0301", "c d", "\\", "\0", "...", "..a", "~", "日");
const anyPath = fc.oneof(
  { weight: 3, arbitrary: fc.array(part, { maxLength: 6 }).map((parts) => parts.join("/")) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
);

describe("entries of any kind", () => {
  it("whatever is accepted resolves inside the tree", () => {
    fc.assert(
      fc.property(anyPath, fc.constantFrom("file", "directory", "symlink"), anyPath, (path, type, linkpath) => {
        const verdict = checkEntry({ path, type, linkpath, mode: 0o644 }, new Map());
        if ("rule" in verdict) return;
        const full = posix.resolve("/state/tree", path);
        assert.equal(full, posix.join("/state/tree", verdict.path).replace(/\/$/, ""));
        assert.ok(full === "/state/tree" ? type === "directory" : full.startsWith("/state/tree/"), full);
      }),
      { numRuns: 5_000 },
    );
  });

  it("no chain of accepted links leaves the tree, followed as the kernel does", () => {
    const name = fc.constantFrom("a", "b", "c", "d");
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const target = fc.array(fc.constantFrom("..", ".", "a", "b", "c", "d"), { minLength: 1, maxLength: 6 });
    const entry = fc.oneof(
      path.map((p) => file(p)),
      fc.tuple(path, target).map(([p, parts]) => symlink(p, parts.join("/"))),
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
        const { links } = feed(entries);
        for (const link of links.keys()) assert.notEqual(follow(link, links), "outside", `${link} of ${[...links]}`);
      }),
      { numRuns: 5_000 },
    );
  });
});

/** Where a path ends, name by name, each link replaced by its target; a loop ends nowhere. */
function follow(path: string, links: Map<string, string>): "inside" | "outside" {
  const at: string[] = [];
  const todo = path.split("/");
  for (let hops = 0; todo.length > 0; ) {
    const next = todo.shift() as string;
    if (next === "..") {
      if (at.length === 0) return "outside";
      at.pop();
    } else if (next !== ".") {
      const target = links.get([...at, next].join("/"));
      if (target === undefined) at.push(next);
      else if (++hops > 40) return "inside";
      else todo.unshift(...target.split("/"));
    }
  }
  return "inside";
}
