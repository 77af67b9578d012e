import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { treeDigest } from "../../../../protocol/manifest.ts";
import { failsWith, install, openStore, quietly, releaseInFile, sha256Of } from "../support/installing.ts";
import { entriesOf } from "../support/packing.ts";
import { namesIn, useScratch } from "../support/scratch.ts";
import { appTar, manyFiles } from "../support/tar-builder.ts";

const scratch = useScratch();
const archive = appTar();

describe("a store", () => {
  it("finds and lists what was installed, by its exact version", async () => {
    const store = await openStore(scratch.dir);
    for (const version of ["web", "web-api", "1.2.3+x"]) {
      await install(store, await releaseInFile(scratch.dir, version, archive));
    }
    assert.deepEqual(await store.find("web"), {
      version: "web",
      sha256: sha256Of(archive),
      tree: join(scratch.dir, "releases/web/tree"),
      treeDigest: treeDigest(await entriesOf(join(scratch.dir, "releases/web/tree"))),
    });
    assert.deepEqual(
      (await store.list()).map(({ version }) => version),
      ["1.2.3+x", "web", "web-api"],
    );
    for (const other of ["we", "web-", "WEB", "", ".", "..", "../releases/web", "web/tree"]) {
      assert.equal(await store.find(other), null, other);
    }
  });

  it("writes down what was ordered and what it came to", async () => {
    const store = await openStore(scratch.dir);
    const release = await releaseInFile(scratch.dir, "v1", archive);
    await install(store, release);
    const { installedAt, ...record } = JSON.parse(await readFile(join(store.dir, "v1/release.json"), "utf8"));
    assert.deepEqual(record, {
      release,
      tree: treeDigest(await entriesOf(join(store.dir, "v1/tree"))),
      entries: 6,
      ownNodes: 2,
      unpackedBytes: 25,
    });
    assert.ok(Math.abs(Date.now() - Date.parse(installedAt)) < 60_000);
    assert.deepEqual(await namesIn(join(store.dir, "v1")), ["manifest.json", "release.json", "tree"]);
  });

  it("removes a version and no other whose name begins like it", async () => {
    const store = await openStore(scratch.dir);
    for (const version of ["web", "web-api"]) await install(store, await releaseInFile(scratch.dir, version, archive));
    await store.remove("web");
    assert.deepEqual(await namesIn(store.dir), ["web-api"]);
    assert.ok(await store.find("web-api"));
  });

  it("does nothing when what is to be removed is not there", async () => {
    const store = await openStore(scratch.dir);
    await install(store, await releaseInFile(scratch.dir, "v1", archive));
    for (const version of ["v2", "", ".", "..", "../releases"]) await store.remove(version);
    assert.ok(await store.find("v1"));
  });

  it("removes twice at once", async () => {
    const store = await openStore(scratch.dir);
    await install(store, await releaseInFile(scratch.dir, "v1", archive));
    await Promise.all([store.remove("v1"), store.remove("v1")]);
    assert.deepEqual(await namesIn(store.dir), []);
  });

  it("installs a version again after its removal", async () => {
    const store = await openStore(scratch.dir);
    const release = await releaseInFile(scratch.dir, "v1", archive);
    await install(store, release);
    await store.remove("v1");
    await install(store, release);
    assert.ok(await store.find("v1"));
  });

  it("gives both slots the same release when both install it at once", async () => {
    const store = await openStore(scratch.dir);
    const release = await releaseInFile(scratch.dir, "v1", manyFiles(300));
    const [a, b] = await Promise.all([install(store, release), install(store, release)]);
    assert.deepEqual(a, b);
    assert.deepEqual(await namesIn(store.dir), ["v1"]);
  });

  it("never replaces an installed release by one with another digest", async () => {
    const store = await openStore(scratch.dir);
    const second = await store.fetch(await releaseInFile(scratch.dir, "v1", appTar("second")), quietly());
    const first = await install(store, await releaseInFile(scratch.dir, "v1", appTar("first")));
    await failsWith(store.unpack(second, quietly()), "DIGEST_MISMATCH");
    assert.equal(await readFile(join(first.tree, "public/index.html"), "utf8"), "first");
    assert.deepEqual(await namesIn(store.dir), ["v1"]);
  });
});

describe("what is half-done", () => {
  it("is swept by prepare, which names it and leaves the rest alone", async () => {
    const store = await openStore(scratch.dir);
    await install(store, await releaseInFile(scratch.dir, "v1", archive));
    // All that an install makes, but for the last rename.
    await mkdir(join(store.dir, ".incoming-1/tree/d"), { recursive: true });
    await writeFile(join(store.dir, ".incoming-1/release.json"), await readFile(join(store.dir, "v1/release.json")));
    await mkdir(join(store.dir, ".incoming-2"));
    await mkdir(join(store.dir, ".removing-3/tree"), { recursive: true });
    await mkdir(join(store.dir, ".other"));
    assert.deepEqual((await store.prepare()).sort(), [".incoming-1", ".incoming-2", ".removing-3"]);
    assert.deepEqual(await namesIn(store.dir), [".other", "v1"]);
    assert.deepEqual(
      (await store.list()).map(({ version }) => version),
      ["v1"],
    );
    assert.deepEqual(await store.prepare(), []);
  });

  const damages: [string, (dir: string) => Promise<void>][] = [
    ["its record is missing", (dir) => rm(join(dir, "release.json"))],
    ["its record is empty", (dir) => writeFile(join(dir, "release.json"), "")],
    ["its record is cut short", (dir) => writeFile(join(dir, "release.json"), '{"release": {"version"')],
    ["its record is of another shape", (dir) => writeFile(join(dir, "release.json"), '{"version": "v1"}')],
    ["its tree is missing", (dir) => rm(join(dir, "tree"), { recursive: true })],
    [
      "its tree is a file",
      async (dir) => {
        await rm(join(dir, "tree"), { recursive: true });
        await writeFile(join(dir, "tree"), "");
      },
    ],
  ];
  for (const [what, damage] of damages) {
    it(`is never found when ${what}, and an install makes it whole`, async () => {
      const store = await openStore(scratch.dir);
      const release = await releaseInFile(scratch.dir, "v1", archive);
      await install(store, release);
      await damage(join(store.dir, "v1"));
      assert.equal(await store.find("v1"), null);
      assert.deepEqual(await store.list(), []);
      const again = await install(store, release);
      assert.equal(await readFile(join(again.tree, "public/index.html"), "utf8"), "hello");
      // What stood there may be in use; it goes with the next start.
      assert.equal((await store.prepare()).length, 1);
      assert.deepEqual(await namesIn(store.dir), ["v1"]);
    });
  }

  it("is never found under another version's record", async () => {
    const store = await openStore(scratch.dir);
    await install(store, await releaseInFile(scratch.dir, "v1", archive));
    await mkdir(join(store.dir, "v2/tree"), { recursive: true });
    await writeFile(join(store.dir, "v2/release.json"), await readFile(join(store.dir, "v1/release.json")));
    assert.equal(await store.find("v2"), null);
  });
});
