import assert from "node:assert/strict";
import { lstat, mkdir, mkdtemp, readdir, readlink, realpath, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { unpackArchive } from "../../../../agent/releases/unpack/archive.ts";
import { UnpackFailure } from "../../../../agent/releases/unpack/failure.ts";
import { TreeWriter } from "../../../../agent/releases/unpack/tree-writer.ts";
import { useScratch } from "../support/scratch.ts";
import { type Made, tarOf } from "../support/tar-builder.ts";

const scratch = useScratch();

const name = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom("a", "b", "c", "d", "f", "g") },
  { weight: 1, arbitrary: fc.constantFrom("A", "..", ".", "", "é", "e\u0301") },
);
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const type = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...(["File", "Directory", "SymbolicLink"] as const)) },
  { weight: 1, arbitrary: fc.constantFrom(...(["Link", "FIFO"] as const)) },
);
const made: fc.Arbitrary<Made> = fc.record({
  path: path.filter((text) => text !== ""),
  type,
  linkpath: fc.tuple(fc.constantFrom("", "../", "../../"), path).map((parts) => parts.join("") || "a"),
  content: fc.constantFrom("", "x"),
  mode: fc.constantFrom(0o644, 0o755, 0),
});
/** Bytes of headers overwritten, by position in the archive and value. */
const damage = fc.option(fc.array(fc.tuple(fc.nat(3000), fc.nat(255)), { maxLength: 3 }), { nil: [], freq: 1 });

describe("a hostile archive", () => {
  it("whatever an archive holds, it is unpacked inside the tree or refused with a reason", async () => {
    let unpacked = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(made, { minLength: 1, maxLength: 6 }), damage, async (entries, bytes) => {
        const dir = await mkdtemp(join(scratch.dir, "case-"));
        const tree = join(dir, "tree");
        await mkdir(tree);
        // What must not be touched.
        await writeFile(join(dir, "a"), "outside");
        await writeFile(join(dir, "archive"), damaged(tarOf(entries.map(plausible)), bytes));
        try {
          await unpackArchive(
            join(dir, "archive"),
            new TreeWriter(tree, { maxEntries: 100, maxUnpackedBytes: 1e5 }, () => {}),
          );
          unpacked++;
        } catch (error) {
          if (!(error instanceof UnpackFailure)) throw error;
        }
        assert.deepEqual((await readdir(dir)).sort(), ["a", "archive", "tree"]);
        assert.equal((await lstat(join(dir, "a"))).nlink, 1);
        await assertContained(await realpath(tree));
        await rm(dir, { recursive: true });
      }),
      { numRuns: 400 },
    );
    assert.ok(unpacked > 20, `only ${unpacked} archives were unpacked: the cases are too wild to say much`);
  });
});

/** An entry that its own type allows: a link has no content, and what is no link has no target. */
function plausible(entry: Made): Made {
  const link = entry.type === "SymbolicLink" || entry.type === "Link";
  const { linkpath, content, ...rest } = entry;
  return { ...rest, ...(link ? { linkpath: linkpath ?? "" } : entry.type === "File" && { content: content ?? "" }) };
}

/** Overwrites bytes, and makes every header's checksum right again, as somebody with bad intent would. */
function damaged(archive: Buffer, bytes: [number, number][]): Buffer {
  const copy = Buffer.from(archive);
  for (const [at, value] of bytes) {
    if (at >= copy.length) continue;
    copy[at] = value;
    const header = copy.subarray(at - (at % 512), at - (at % 512) + 512);
    header.write("        ", 148, "latin1");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
  return copy;
}

/** Every symbolic link leads to a place in the tree, whether something is there or not. */
async function assertContained(root: string): Promise<void> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    assert.ok(entry.isFile() || entry.isDirectory() || entry.isSymbolicLink(), entry.name);
    if (!entry.isSymbolicLink()) continue;
    const full = join(entry.parentPath, entry.name);
    const real = await realpath(full).catch(() => null);
    const end = real ?? resolve(entry.parentPath, await readlink(full));
    assert.ok(end === root || end.startsWith(`${root}/`), `${full} leads to ${end}`);
  }
}
