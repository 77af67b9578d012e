import assert from "node:assert/strict";
import { chmod, cp, lstat, mkdir, readFile, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DeltaFailed, type ReleaseStore } from "../../../agent/releases/store/store.ts";
import type { Manifest } from "../../../protocol/manifest.ts";
import type { Release } from "../../../protocol/release.ts";
import { failsWith, install, openStore, quietly, releaseInFile } from "./support/installing.ts";
import { ballast, entriesOf, packDelta, packTree, type Tree } from "./support/packing.ts";
import { namesIn, useScratch } from "./support/scratch.ts";
import { type Made, tarGzOf } from "./support/tar-builder.ts";
import { mountTmpfs } from "./support/tmpfs.ts";

const scratch = useScratch();
const before: Tree = { ballast, a: "1", "d/b": "b", "d/e/c": "c", l: { link: "a" } };
const after: Tree = { ...before, a: "2" };

interface Ready {
  store: ReleaseStore;
  one: { release: Release; manifest: Manifest };
  two: { release: Release; manifest: Manifest };
  /** The base's directory. */
  dir: string;
}

/** A base that is installed, and a release with a delta against it. */
async function ready(): Promise<Ready> {
  const store = await openStore(scratch.dir);
  const one = await packTree(scratch.dir, "1", before);
  const two = await packTree(scratch.dir, "2", after, { bases: [one.manifest] });
  await install(store, one.release);
  return { store, one, two, dir: join(store.dir, "1") };
}

/** Asserts that a delta does not lead to its tree, that nothing of it stays, and that the whole archive does. */
async function fallsBack({ store, two }: Ready, why: RegExp, release = two.release): Promise<void> {
  const fetched = await store.fetch(release, quietly());
  assert.ok(fetched.base, "the delta is tried");
  const error = await store.unpack(fetched, quietly()).then(
    () => assert.fail("the delta should not have been used"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof DeltaFailed, String(error));
  assert.match(error.message, why);
  assert.ok(!(await namesIn(store.dir)).some((name) => name === "2" || name.startsWith(".")));
  const whole = await store.fetch(release, quietly(), "whole");
  const { tree } = await store.unpack(whole, quietly());
  assert.deepEqual(await entriesOf(tree), two.manifest.entries);
}

describe("a delta is of no use, and the whole archive is, when its head", () => {
  const head = ({ one }: Ready, more: object = {}) =>
    JSON.stringify({ format: 1, base: one.manifest.tree, without: ["a"], ...more });
  const brought: Made[] = [{ path: "a", content: "2" }];
  const heads: Record<string, [why: RegExp, head: (ready: Ready) => string | null, entries?: Made[]]> = {
    "is missing": [/does not begin with/, () => null],
    "is empty": [/head can't be read/, () => ""],
    "is not JSON": [/head can't be read/, () => "{"],
    "has another format": [/head can't be read/, (at) => head(at, { format: 2 })],
    "says more than is known": [/head can't be read/, (at) => head(at, { with: [] })],
    "names another base": [/against the tree 0{64}/, (at) => head(at, { base: "0".repeat(64) })],
    "leaves out a path that the base does not have": [
      /"nowhere".*does not have/,
      (at) => head(at, { without: ["a", "nowhere"] }),
    ],
    "leaves out a path twice in other words": [/".\/a".*does not have/, (at) => head(at, { without: ["a", "./a"] })],
    "leaves out too much": [/unpacked tree/, (at) => head(at, { without: ["a", "d/b"] })],
    "leaves out too little": [/there twice/, (at) => head(at, { without: [] })],
    "leaves out a directory and keeps what is in it": [
      /unpacked tree/,
      (at) => head(at, { without: ["a", "ballast"] }),
    ],
    "comes later": [/does not begin with/, () => null, [...brought, { path: ".slotd-delta.json", content: "{}" }]],
    "comes twice": [
      /what a delta begins with/,
      (at) => head(at),
      [...brought, { path: ".slotd-delta.json", content: "{}" }],
    ],
  };
  for (const [what, [why, make, entries = brought]] of Object.entries(heads)) {
    it(what, async () => {
      const at = await ready();
      const delta = await packDelta(scratch.dir, at.one.manifest.tree, make(at), entries);
      await fallsBack(at, why, { ...at.two.release, deltas: [delta] });
    });
  }

  it("is longer than any could be", async () => {
    const at = await ready();
    const archive = tarGzOf([{ path: ".slotd-delta.json", size: 200 * 1024 ** 2 }]);
    const { version: _, ...delta } = await releaseInFile(scratch.dir, "delta", archive);
    const release = { ...at.two.release, deltas: [{ base: at.one.manifest.tree, ...delta }] };
    await fallsBack(at, /head is too long/, release);
  });

  it("is a directory", async () => {
    const at = await ready();
    const entries: Made[] = [{ path: ".slotd-delta.json", type: "Directory" }];
    const delta = await packDelta(scratch.dir, at.one.manifest.tree, null, entries);
    await fallsBack(at, /does not begin with/, { ...at.two.release, deltas: [delta] });
  });
});

describe("a delta is of no use, and the whole archive is, when what it brings", () => {
  const bad: Record<string, [why: RegExp, entries: Made[]]> = {
    "is another content": [/unpacked tree.*sha256/, [{ path: "a", content: "3" }]],
    "is missing": [/unpacked tree/, []],
    "is more than it should be": [/unpacked tree/, [{ path: "a", content: "2" }, { path: "more" }]],
    "has another mode": [/unpacked tree/, [{ path: "a", content: "2", mode: 0o755 }]],
    "would replace what was taken over": [
      /there twice/,
      [
        { path: "a", content: "2" },
        { path: "d/b", content: "x" },
      ],
    ],
    "would be written through a link that was taken over": [
      /which is a link|not a directory|through/,
      [{ path: "l/x" }],
    ],
    "leads outside": [/has '\.\.'/, [{ path: "../a", content: "2" }]],
  };
  for (const [what, [why, entries]] of Object.entries(bad)) {
    it(what, async () => {
      const at = await ready();
      const { tree } = at.one.manifest;
      const delta = await packDelta(scratch.dir, tree, { format: 1, base: tree, without: ["a"] }, entries);
      await fallsBack(at, why, { ...at.two.release, deltas: [delta] });
    });
  }
});

describe("a delta is of no use, and the whole archive is, when of its base", () => {
  const inTree = (name: string) => (dir: string) => join(dir, "tree", name);
  const ballastIn = inTree("ballast");
  const damages: Record<string, [why: RegExp, damage: (dir: string) => Promise<unknown>]> = {
    "a file has another size": [/ballast is not what/, (dir) => writeFile(ballastIn(dir), `${ballast}x`)],
    "a file has another content of the same size": [
      /ballast is not what/,
      (dir) => writeFile(ballastIn(dir), ballast.replace(/^./, "z")),
    ],
    "a file has another mode": [/ballast is not what/, (dir) => chmod(ballastIn(dir), 0o600)],
    "a file is setuid": [/ballast is not what/, (dir) => chmod(ballastIn(dir), 0o4644)],
    "a file is missing": [/ENOENT/, (dir) => rm(ballastIn(dir))],
    "a file is a link": [
      /ballast is not what/,
      async (dir) => {
        await rename(ballastIn(dir), join(scratch.dir, "moved"));
        await symlink(join(scratch.dir, "moved"), ballastIn(dir));
      },
    ],
    "a file is a directory": [/ballast is not what/, (dir) => rm(ballastIn(dir)).then(() => mkdir(ballastIn(dir)))],
    "a directory is a link": [
      /d is not the directory/,
      async (dir) => {
        await rename(inTree("d")(dir), join(scratch.dir, "moved"));
        await symlink(join(scratch.dir, "moved"), inTree("d")(dir));
      },
    ],
    "the whole tree is gone": [/ENOENT|not installed any more/, (dir) => rm(join(dir, "tree"), { recursive: true })],
    "the manifest is missing": [/ENOENT/, (dir) => rm(join(dir, "manifest.json"))],
    "the manifest is cut short": [/JSON/, (dir) => writeFile(join(dir, "manifest.json"), '{"format":1,')],
    "the manifest tells of another tree": [
      /unpacked tree/,
      (dir) => edit(dir, (text) => text.replace(/("path":"d\/b".*?"sha256":")[0-9a-f]{64}/, `$1${"0".repeat(64)}`)),
    ],
    "the manifest names a path outside": [
      /has '\.\.'/,
      (dir) => edit(dir, (text) => text.replace('"path":"ballast"', '"path":"../../../archive"')),
    ],
    "the manifest names an absolute path": [
      /absolute name/,
      (dir) => edit(dir, (text) => text.replace('"path":"ballast"', '"path":"/etc/passwd"')),
    ],
    "the manifest names a link to outside": [
      /absolute path/,
      (dir) => edit(dir, (text) => text.replace('"target":"a"', '"target":"/etc"')),
    ],
  };
  const edit = async (dir: string, change: (text: string) => string) => {
    const path = join(dir, "manifest.json");
    const text = await readFile(path, "utf8");
    assert.notEqual(change(text), text);
    await writeFile(path, change(text));
  };
  for (const [what, [why, damage]] of Object.entries(damages)) {
    it(what, async () => {
      const at = await ready();
      const fetched = await at.store.fetch(at.two.release, quietly());
      await damage(at.dir);
      await assert.rejects(at.store.unpack(fetched, quietly()), (error: Error) => {
        assert.ok(error instanceof DeltaFailed);
        assert.match(error.message, why);
        return true;
      });
      assert.ok(!(await namesIn(at.store.dir)).some((name) => name === "2" || name.startsWith(".")));
      const { tree } = await at.store.unpack(await at.store.fetch(at.two.release, quietly(), "whole"), quietly());
      assert.deepEqual(await entriesOf(tree), at.two.manifest.entries);
    });
  }

  it("a file was written to and has its time of before", async () => {
    // Nothing but reading it would tell. This states what is not noticed.
    const at = await ready();
    const { mtime } = await lstat(ballastIn(at.dir));
    await writeFile(ballastIn(at.dir), ballast.replace(/^./, "z"));
    await utimes(ballastIn(at.dir), mtime, mtime);
    const { tree } = await install(at.store, at.two.release);
    assert.notDeepEqual(await entriesOf(tree), at.two.manifest.entries);
  });

  it("the files are on another file system", async () => {
    const at = await ready();
    const aside = join(scratch.dir, "aside");
    await rename(at.dir, aside);
    scratch.ends.push(await mountTmpfs(at.dir, "size=20m"));
    await cp(aside, at.dir, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    await fallsBack(at, /EXDEV/);
  });

  it("the version was removed since the delta was fetched", async () => {
    const at = await ready();
    const fetched = await at.store.fetch(at.two.release, quietly());
    await at.store.remove("1");
    await assert.rejects(at.store.unpack(fetched, quietly()), DeltaFailed);
    await install(at.store, at.two.release);
    assert.deepEqual(await namesIn(at.store.dir), ["2"]);
  });
});

describe("a delta that was ordered", () => {
  it("a delta that can't be fetched, or is another one than was ordered, is no obstacle to the whole archive", async () => {
    const at = await ready();
    const [delta] = at.two.release.deltas ?? [];
    assert.ok(delta);
    for (const wrong of [
      { url: `${delta.url}.gone` },
      { sha256: "0".repeat(64) },
      { sizeBytes: delta.sizeBytes + 1 },
    ]) {
      const release = { ...at.two.release, deltas: [{ ...delta, ...wrong }] };
      await assert.rejects(at.store.fetch(release, quietly()), DeltaFailed);
      assert.deepEqual(await namesIn(at.store.dir), ["1"]);
    }
  });

  it("a delta is not installed in place of the whole", async () => {
    const at = await ready();
    const [delta] = at.two.release.deltas ?? [];
    assert.ok(delta);
    const { base: _, ...archive } = delta;
    await failsWith(install(at.store, { version: "2", ...archive }), "ARCHIVE_UNSAFE");
    assert.deepEqual(await namesIn(at.store.dir), ["1"]);
  });
});
