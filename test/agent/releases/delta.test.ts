import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { type Manifest, treeDigest } from "../../../protocol/manifest.ts";
import { install, openStore, quietly } from "./support/installing.ts";
import { ballast, entriesOf, type Node, packDelta, packTree, type Tree, zstd } from "./support/packing.ts";
import { namesIn, useScratch } from "./support/scratch.ts";

const scratch = useScratch();

/** Installs one tree, and another as a delta against it. */
async function installedOver(before: Tree, after: Tree, compress: (tar: Buffer) => Buffer = gzipSync) {
  const store = await openStore(scratch.dir);
  const one = await packTree(scratch.dir, "1", { ballast, ...before });
  const two = await packTree(scratch.dir, "2", { ballast, ...after }, { bases: [one.manifest], compress });
  const base = await install(store, one.release);
  const fetched = await store.fetch(two.release, quietly());
  assert.equal(fetched.base?.version, "1", "the delta is taken");
  const installed = await store.unpack(fetched, quietly());
  const inode = async (version: string, path: string) => (await stat(join(store.dir, version, "tree", path))).ino;
  return { store, one, two, base, installed, inode };
}

async function assertTree(root: string, { entries, tree }: Manifest): Promise<void> {
  const found = await entriesOf(root);
  assert.deepEqual(found, entries);
  assert.equal(treeDigest(found), tree);
}

const file = "content";
const changes: Record<string, [before: Tree, after: Tree]> = {
  "a changed file": [
    { a: "1", b: file },
    { a: "2", b: file },
  ],
  "an added file, in a new directory": [{ b: file }, { b: file, "d/e/f": "new" }],
  "a removed file": [{ a: "1", b: file }, { b: file }],
  "a removed directory": [{ "d/e/f": "1", b: file }, { b: file }],
  "a renamed directory": [
    { "old/x/a": file, "old/b": "b" },
    { "new/x/a": file, "new/b": "b" },
  ],
  "a file that becomes a program": [{ a: file }, { a: { program: file } }],
  "a file that becomes a directory": [
    { a: file, b: file },
    { "a/a": file, b: file },
  ],
  "a directory that becomes a file": [{ "a/a": file, "a/b/c": "c" }, { a: file }],
  "a directory that becomes a link": [
    { "a/a": file, "b/a": file },
    { a: { link: "b" }, "b/a": file },
  ],
  "a link that becomes a directory": [
    { a: { link: "b" }, "b/a": file },
    { "a/a": file, "b/a": file },
  ],
  "a file that becomes a link": [
    { a: file, b: file },
    { a: { link: "b" }, b: file },
  ],
  "a link that becomes a file": [
    { a: { link: "b" }, b: file },
    { a: file, b: file },
  ],
  "a link to elsewhere": [
    { a: { link: "b" }, b: file, c: file },
    { a: { link: "c" }, b: file, c: file },
  ],
  "a directory that is left empty": [{ "d/a": file }, { d: null }],
  "another name in Unicode, and in case": [
    { é: "1", README: file },
    { "e\u0301": "1", readme: file },
  ],
  "nothing at all": [
    { a: file, "d/b": file, l: { link: "a" } },
    { a: file, "d/b": file, l: { link: "a" } },
  ],
};

describe("a delta brings", () => {
  for (const [what, [before, after]] of Object.entries(changes)) {
    it(what, async () => {
      const { store, one, two, base, installed, inode } = await installedOver(before, after);
      await assertTree(installed.tree, two.manifest);
      await assertTree(base.tree, one.manifest);
      assert.equal(await inode("2", "ballast"), await inode("1", "ballast"), "what did not change is the same file");
      assert.deepEqual(await store.find("2"), installed);
      assert.equal(installed.sha256, two.release.sha256);
      assert.deepEqual(await namesIn(store.dir), ["1", "2"]);
      assert.deepEqual(JSON.parse(await readFile(join(store.dir, "2/manifest.json"), "utf8")).tree, two.manifest.tree);
    });
  }

  it("all that, as .tar.zst", async () => {
    const { two, installed } = await installedOver({ a: "1", "d/b": "b" }, { a: "2", "d/c": "c" }, zstd);
    await assertTree(installed.tree, two.manifest);
  });

  it("a hard link to what was taken over, and to what it brings itself", async () => {
    const store = await openStore(scratch.dir);
    const one = await packTree(scratch.dir, "1", { ballast, a: "1" });
    await install(store, one.release);
    const two = await packTree(scratch.dir, "2", { ballast, a: "1", kept: ballast, b: "b", c: "b" });
    const delta = await packDelta(scratch.dir, one.manifest.tree, { format: 1, base: one.manifest.tree, without: [] }, [
      { path: "kept", type: "Link", linkpath: "ballast" },
      { path: "b", content: "b" },
      { path: "c", type: "Link", linkpath: "b" },
    ]);
    const fetched = await store.fetch({ ...two.release, deltas: [delta] }, quietly());
    assert.ok(fetched.base);
    const { tree } = await store.unpack(fetched, quietly());
    await assertTree(tree, two.manifest);
    assert.equal((await stat(join(tree, "ballast"))).nlink, 3);
  });

  it("whatever two trees are like", async () => {
    const name = fc.constantFrom("a", "b", "c");
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    const node: fc.Arbitrary<Node> = fc.constantFrom("x", "y", { program: "x" }, { link: "." }, null);
    const tree = fc.uniqueArray(fc.tuple(path, node), { selector: ([at]) => at, maxLength: 8 }).map(plausible);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(tree, tree, async (before, after) => {
        const into = join(scratch.dir, String(run++));
        const store = await openStore(into);
        const one = await packTree(into, "1", { ballast, ...before });
        const two = await packTree(into, "2", { ballast, ...after }, { bases: [one.manifest] });
        const base = await install(store, one.release);
        const fetched = await store.fetch(two.release, quietly());
        assert.ok(fetched.base);
        const { tree } = await store.unpack(fetched, quietly());
        await assertTree(tree, two.manifest);
        await assertTree(base.tree, one.manifest);
      }),
      { numRuns: 25 },
    );
  });
});

describe("a release that came as a delta", () => {
  it("is whole without its base, and is a base itself", async () => {
    const { store, two, installed } = await installedOver({ a: "1", b: "b" }, { a: "2", b: "b" });
    await store.remove("1");
    await assertTree(installed.tree, two.manifest);
    const three = await packTree(scratch.dir, "3", { ballast, a: "3", b: "b" }, { bases: [two.manifest] });
    const fetched = await store.fetch(three.release, quietly());
    assert.equal(fetched.base?.version, "2");
    await assertTree((await store.unpack(fetched, quietly())).tree, three.manifest);
  });

  it("has the permissions and times of one that came whole", async () => {
    const { store, two, installed } = await installedOver(
      { a: "1", p: { program: "p" } },
      { a: "2", p: { program: "p" } },
    );
    await store.remove("1");
    const { deltas: _, ...whole } = two.release;
    const other = await openStore(join(scratch.dir, "other"));
    const { tree } = await install(other, whole);
    for (const path of await readdir(tree)) {
      const [x, y] = await Promise.all([tree, installed.tree].map((root) => stat(join(root, path))));
      assert.deepEqual([x?.mode, x?.mtimeMs, x?.uid], [y?.mode, y?.mtimeMs, y?.uid], path);
    }
  });

  it("was the shortest way of several", async () => {
    const store = await openStore(scratch.dir);
    const far = await packTree(scratch.dir, "far", { x: ballast });
    const near = await packTree(scratch.dir, "near", { ballast, a: "1" });
    for (const { release } of [far, near]) await install(store, release);
    const bases = [far.manifest, near.manifest, { ...near.manifest, tree: "0".repeat(64), entries: [] }];
    const next = await packTree(scratch.dir, "next", { ballast, a: "2" }, { bases });
    assert.equal((await store.fetch(next.release, quietly())).base?.version, "near");
  });

  it("is fetched whole where no base is here, or the delta is not shorter", async () => {
    const store = await openStore(scratch.dir);
    const one = await packTree(scratch.dir, "1", { a: "1" });
    const two = await packTree(scratch.dir, "2", { ballast }, { bases: [one.manifest] });
    assert.equal((await store.fetch(two.release, quietly())).base, null);
    await install(store, one.release);
    const [delta] = two.release.deltas ?? [];
    assert.ok(delta);
    const long = { ...two.release, deltas: [{ ...delta, sizeBytes: two.release.sizeBytes }] };
    assert.equal((await store.fetch(long, quietly())).base, null);
  });
});

/** A path below one that is no directory can't be: the first that was named counts. */
function plausible(nodes: [string, Node][]): Tree {
  const tree: Tree = {};
  for (const [path, node] of nodes) {
    const above = Object.keys(tree).some((other) => path.startsWith(`${other}/`) && tree[other] !== null);
    const below = Object.keys(tree).some((other) => other.startsWith(`${path}/`));
    if (!above && !(below && node !== null)) tree[path] = node;
  }
  return tree;
}
