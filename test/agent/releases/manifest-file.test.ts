import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readManifest } from "../../../agent/releases/manifest-file.ts";
import { manifestSchema, treeDigest } from "../../../protocol/manifest.ts";
import { failsWith, install, openStore, quietly, releaseInFile } from "./support/installing.ts";
import { entriesOf, packTree } from "./support/packing.ts";
import { namesIn, useScratch } from "./support/scratch.ts";
import { appTar, tarGzOf } from "./support/tar-builder.ts";

const scratch = useScratch();

describe("the manifest beside a tree", () => {
  it("the manifest beside a tree is what was unpacked, links and permissions included", async () => {
    const store = await openStore(scratch.dir);
    const { tree, treeDigest: digest } = await install(store, await releaseInFile(scratch.dir, "v1", appTar()));
    const path = join(store.dir, "v1/manifest.json");
    const manifest = manifestSchema.parse(JSON.parse(await readFile(path, "utf8")));
    assert.deepEqual(await readManifest(path), manifest);
    const found = await entriesOf(tree);
    assert.equal(manifest.version, "v1");
    assert.equal(manifest.tree, treeDigest(found));
    assert.equal(digest, manifest.tree);
    assert.equal(treeDigest(manifest.entries), manifest.tree);
    assert.equal(manifest.entries.length, found.length);
    assert.equal((await stat(path)).mode & 0o777, 0o644);
  });

  it("permissions and directories that the archive does not name, or names otherwise, stand in it as they came to be", async () => {
    const archive = tarGzOf([
      { path: "a/b/c", mode: 0o666 },
      { path: "d", type: "Directory", mode: 0o777 },
      { path: "d/none", mode: 0 },
      { path: "d", type: "Directory", mode: 0 },
    ]);
    const store = await openStore(scratch.dir);
    const { tree } = await install(store, await releaseInFile(scratch.dir, "v1", archive));
    const { entries } = await readManifest(join(store.dir, "v1/manifest.json"));
    assert.equal(treeDigest(entries), treeDigest(await entriesOf(tree)));
  });

  it("an archive that unpacks to another tree than was ordered is refused, and nothing of it stays", async () => {
    const store = await openStore(scratch.dir);
    const one = await packTree(scratch.dir, "v1", { a: "1" });
    const other = await packTree(scratch.dir, "other", { a: { program: "1" } });
    const release = { ...one.release, tree: other.manifest.tree };
    const error = await failsWith(install(store, release), "DIGEST_MISMATCH");
    assert.match(error.message, new RegExp(`unpacked tree.*${one.manifest.tree}.*${other.manifest.tree}`));
    assert.deepEqual(await namesIn(store.dir), []);
    // The same order is right as soon as the tree is.
    await store.unpack(await store.fetch(one.release, quietly()), quietly());
  });
});
