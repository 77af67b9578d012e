import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as zlib from "node:zlib";
import { until } from "../../../support/until.ts";
import { failsWith, install, openStore, quietly, releaseInFile } from "../support/installing.ts";
import { zstd } from "../support/packing.ts";
import { namesIn, useScratch } from "../support/scratch.ts";
import { tarOf } from "../support/tar-builder.ts";

const scratch = useScratch();

/** Compresses badly, so that there is a middle to damage. */
const noise = Array.from({ length: 20_000 }, (_, i) => ((i * 2_654_435_761) >>> 0).toString(36)).join("");
const tar = tarOf([
  { path: "a", content: noise },
  { path: "b", content: "b" },
]);
const other = tarOf([{ path: "a", content: `${noise}x` }]);
const formats = { tar: (bytes: Buffer) => bytes, gzip: (bytes: Buffer) => zlib.gzipSync(bytes), zstd };

async function refused(archive: Buffer): Promise<string> {
  const store = await openStore(scratch.dir);
  const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", archive), quietly());
  const { message } = await failsWith(store.unpack(fetched, quietly()), "ARCHIVE_CORRUPT");
  assert.deepEqual(await namesIn(store.dir), []);
  return message;
}

for (const [format, compress] of Object.entries(formats)) {
  describe(`an archive as ${format}`, () => {
    const archive = compress(tar);

    it("is unpacked", async () => {
      const store = await openStore(scratch.dir);
      const { tree } = await install(store, await releaseInFile(scratch.dir, "v1", archive));
      assert.equal(await readFile(join(tree, "a"), "utf8"), noise);
    });

    it("is corrupt where it is cut, wherever that is", async () => {
      for (const length of [5, 300, archive.length >> 1, archive.length - (format === "tar" ? 1024 : 3)])
        await refused(archive.subarray(0, length));
    });

    it("is corrupt with something after its end", async () => {
      for (const more of [Buffer.from("more"), Buffer.from("something longer than a header".repeat(9))])
        await refused(Buffer.concat([archive, more]));
    });

    it("is refused where another one came under its digest, or a bit is not the one that was ordered", async () => {
      const store = await openStore(scratch.dir);
      const release = await releaseInFile(scratch.dir, "v1", archive);
      const flipped = Buffer.from(archive);
      flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] ?? 0) ^ 1;
      for (const wrong of [flipped, compress(other)]) {
        await releaseInFile(scratch.dir, "v1", wrong);
        const code = wrong.length === archive.length ? "DIGEST_MISMATCH" : "SIZE_MISMATCH";
        await failsWith(store.fetch({ ...release, sizeBytes: archive.length }, quietly()), code);
        assert.deepEqual(await namesIn(store.dir), []);
      }
    });
  });
}

describe("zstd", () => {
  it("in several frames is unpacked whole, or refused where Node's own stream ends with the first", async () => {
    const archive = Buffer.concat([zstd(tar.subarray(0, 10_000)), zstd(tar.subarray(10_000))]);
    if ("createZstdDecompress" in zlib) return void (await refused(archive));
    const store = await openStore(scratch.dir);
    const { tree } = await install(store, await releaseInFile(scratch.dir, "v1", archive));
    assert.equal(await readFile(join(tree, "b"), "utf8"), "b");
  });

  it("with a flipped bit is corrupt by its own checksum", async () => {
    const archive = execFileSync("zstd", ["-qc", "--check"], { input: tar, maxBuffer: 1e9 });
    archive[archive.length >> 1] = (archive[archive.length >> 1] ?? 0) ^ 0x10;
    assert.match(await refused(archive), /can't be read/);
  });

  it("that wants more memory than is due to it is refused", async () => {
    const archive = execFileSync("zstd", ["-qc", "--long=31", "--ultra"], { input: tar, maxBuffer: 1e9 });
    // The window's size stands in the frame's header: where it is that large, nothing is reserved for it.
    const store = await openStore(scratch.dir);
    const before = process.memoryUsage().rss;
    await install(store, await releaseInFile(scratch.dir, "v1", archive)).catch(() => {});
    assert.ok(process.memoryUsage().rss - before < 512 * 1024 ** 2);
  });

  it("leaves no process behind when its unpacking is aborted", async () => {
    const store = await openStore(scratch.dir);
    const many = tarOf(Array.from({ length: 3000 }, (_, i) => ({ path: `f${i}`, content: noise.slice(i, i + 4000) })));
    const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", zstd(many)), quietly());
    const abort = new AbortController();
    const reason = new Error("superseded");
    const onProgress = () => abort.abort(reason);
    await assert.rejects(store.unpack(fetched, { signal: abort.signal, onProgress }), (error) => error === reason);
    await until("no child is left", () => children().length === 0);
    assert.deepEqual(await namesIn(store.dir), []);
  });
});

/** The commands that run as children of this process. */
function children(): string[] {
  return readdirSync("/proc/self/task").flatMap((task) => {
    const pids = readFileSync(`/proc/self/task/${task}/children`, "utf8").split(" ").filter(Boolean);
    return pids.map((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim());
  });
}
