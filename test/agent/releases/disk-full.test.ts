import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ReleaseStore } from "../../../agent/releases/store/store.ts";
import { serve } from "./support/archive-server.ts";
import { failsWith, install, openStore, quietly, releaseInFile, releaseOf } from "./support/installing.ts";
import { ballast, packTree, type Tree } from "./support/packing.ts";
import { namesIn, useScratch } from "./support/scratch.ts";
import { appTar, manyFiles, tarGzOf } from "./support/tar-builder.ts";
import { mountTmpfs } from "./support/tmpfs.ts";

const scratch = useScratch();

/** A store on a small disk of its own, with one release installed. */
async function smallDisk(options: string): Promise<ReleaseStore> {
  scratch.ends.push(await mountTmpfs(join(scratch.dir, "disk"), options));
  const store = await openStore(join(scratch.dir, "disk"));
  await install(store, await releaseInFile(scratch.dir, "old", appTar("old")));
  return store;
}

/** Asserts that only the old release is there, whole, and that the disk can be used again. */
async function stillGood(store: ReleaseStore): Promise<void> {
  assert.deepEqual(await namesIn(store.dir), ["old"]);
  const old = await store.find("old");
  assert.equal(await readFile(join(old?.tree ?? "", "public/index.html"), "utf8"), "old");
  await install(store, await releaseInFile(scratch.dir, "next", appTar("next")));
  assert.deepEqual(await store.prepare(), []);
}

/** Writes until nothing more fits. */
async function fill(path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    for (const size of [1024 ** 2, 4096]) {
      for (;;) if ((await file.write(Buffer.alloc(size)).catch(() => null)) === null) break;
    }
  } finally {
    await file.close();
  }
}

describe("a release and a disk without room", () => {
  it("a release that would not fit is refused before a byte is fetched, with how much is missing", async () => {
    const store = await smallDisk("size=20m,nr_inodes=1000");
    const release = { ...releaseOf("v1", Buffer.alloc(1), "http://127.0.0.1:1/"), sizeBytes: 50 * 1024 ** 2 };
    const error = await failsWith(store.fetch(release, quietly()), "DISK_FULL");
    assert.match(error.message, /\d{8} bytes are missing \(\d+ needed, \d+ free\)/);
    await stillGood(store);
  });

  it("a disk of one megabyte is too small to begin with", async () => {
    scratch.ends.push(await mountTmpfs(join(scratch.dir, "disk"), "size=1m,nr_inodes=1000"));
    const store = await openStore(join(scratch.dir, "disk"));
    const error = await failsWith(
      store.fetch(await releaseInFile(scratch.dir, "v1", appTar()), quietly()),
      "DISK_FULL",
    );
    assert.match(error.message, /bytes are missing/);
    assert.deepEqual(await namesIn(store.dir), []);
  });

  it("a disk without inodes is noticed before a byte is fetched", async () => {
    scratch.ends.push(await mountTmpfs(join(scratch.dir, "disk"), "size=20m,nr_inodes=50"));
    const store = await openStore(join(scratch.dir, "disk"));
    const error = await failsWith(
      store.fetch(await releaseInFile(scratch.dir, "v1", appTar()), quietly()),
      "DISK_FULL",
    );
    assert.match(error.message, /\d+ inodes are missing/);
    assert.deepEqual(await namesIn(store.dir), []);
  });

  it("a delta is refused before a byte is fetched where the directories that it makes anew would not fit", async () => {
    scratch.ends.push(await mountTmpfs(join(scratch.dir, "disk"), "size=20m,nr_inodes=400"));
    const store = await openStore(join(scratch.dir, "disk"));
    const tree: Tree = { ballast, ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`d${i}`, null])) };
    const one = await packTree(scratch.dir, "1", tree);
    const two = await packTree(scratch.dir, "2", { ...tree, a: "2" }, { bases: [one.manifest] });
    await install(store, one.release);
    const error = await failsWith(store.fetch(two.release, quietly()), "DISK_FULL");
    assert.match(error.message, /\d+ inodes are missing \(265 needed, \d+ free\)/);
    assert.deepEqual(await namesIn(store.dir), ["1"]);
  });

  it("a disk that fills up during a fetch ends it, without another attempt", async () => {
    const store = await smallDisk("size=24m,nr_inodes=1000");
    const archive = randomBytes(4 * 1024 ** 2);
    const half = archive.length / 2;
    const filler = join(scratch.dir, "disk/filler");
    let filled: Promise<void> | undefined;
    let resume = () => {};
    const server = await serve((response) => {
      response.writeHead(200, { "content-length": archive.length });
      response.write(archive.subarray(0, half));
      resume = () => response.end(archive.subarray(half));
    });
    scratch.ends.push(() => server.close());
    const fetching = store.fetch(releaseOf("v1", archive, server.origin), {
      ...quietly(),
      onProgress: ({ done }) => {
        if (done === half) filled ??= fill(filler).then(() => resume());
      },
    });
    const error = await failsWith(fetching, "DISK_FULL");
    assert.match(error.message, /ENOSPC.*bytes and \d+ inodes free/);
    assert.equal(server.requests.length, 1);
    await filled;
    await rm(filler);
    await stillGood(store);
  });

  it("a disk that fills up during unpacking ends it", async () => {
    const store = await smallDisk("size=24m,nr_inodes=1000");
    const archive = tarGzOf([{ path: "a", content: Buffer.alloc(40 * 1024 ** 2) }]);
    const error = await failsWith(install(store, await releaseInFile(scratch.dir, "v1", archive)), "DISK_FULL");
    assert.match(error.message, /unpacking "a"/);
    await stillGood(store);
  });

  it("a disk that runs out of inodes during unpacking ends it", async () => {
    const store = await smallDisk("size=24m,nr_inodes=300");
    const error = await failsWith(install(store, await releaseInFile(scratch.dir, "v1", manyFiles(1000))), "DISK_FULL");
    assert.match(error.message, / 0 inodes free/);
    await stillGood(store);
  });

  it("a disk that is full when the record is written ends the install", async () => {
    const store = await smallDisk("size=24m,nr_inodes=1000");
    const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", manyFiles(300)), quietly());
    const filler = join(scratch.dir, "disk/filler");
    await fill(filler);
    await failsWith(store.unpack(fetched, quietly()), "DISK_FULL");
    await rm(filler);
    await stillGood(store);
  });

  it("a removal works on a full disk", async () => {
    const store = await smallDisk("size=24m,nr_inodes=1000");
    const filler = join(scratch.dir, "disk/filler");
    await fill(filler);
    await store.remove("old");
    assert.deepEqual(await namesIn(store.dir), []);
  });
});
