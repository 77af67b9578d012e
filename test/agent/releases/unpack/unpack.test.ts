import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { create } from "tar";
import type { Progress, ReleaseBounds } from "../../../../agent/releases/store/store.ts";
import type { ErrorCode } from "../../../../protocol/error-codes.ts";
import { failsWith, install, openStore, quietly, releaseInFile } from "../support/installing.ts";
import { namesIn, useScratch } from "../support/scratch.ts";
import { appTar, type Made, manyFiles, paxOf, record, tarGzOf, tarOf } from "../support/tar-builder.ts";

const scratch = useScratch();

async function installed(archive: Buffer, over?: Partial<ReleaseBounds>): Promise<string> {
  const store = await openStore(scratch.dir, over);
  return (await install(store, await releaseInFile(scratch.dir, "v1", archive))).tree;
}

/** Asserts that an archive is refused with a code and a message, and that nothing of it stays. */
async function refused(
  archive: Buffer,
  code: ErrorCode,
  message: RegExp,
  over?: Partial<ReleaseBounds>,
): Promise<void> {
  const store = await openStore(scratch.dir, over);
  const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", archive), quietly());
  const error = await failsWith(store.unpack(fetched, quietly()), code);
  assert.match(error.message, message);
  assert.equal(await store.find("v1"), null);
  assert.deepEqual(await namesIn(store.dir), []);
}

describe("an archive is unpacked", () => {
  it("with its files, links, modes and times", async () => {
    const tree = await installed(appTar());
    assert.equal(await readFile(join(tree, "server.js"), "utf8"), 'console.log("hello")');
    assert.equal(await readlink(join(tree, "public/start")), "../server.js");
    const [script, copy, page] = await Promise.all(
      ["server.js", "copy.js", "public/index.html"].map((name) => stat(join(tree, name))),
    );
    assert.equal(script?.ino, copy?.ino);
    assert.equal((script?.mode ?? 0) & 0o7777, 0o755);
    assert.equal((page?.mode ?? 0) & 0o7777, 0o644);
    assert.equal(page?.mtimeMs, 1.7e12);
    assert.equal(page?.uid, process.getuid?.());
    // The workers may be someone else than the agent.
    for (const dir of [tree, join(tree, "..")]) assert.equal((await stat(dir)).mode & 0o777, 0o755);
  });

  it("plain, without gzip", async () => {
    const tree = await installed(tarOf([{ path: "a", content: "plain" }]));
    assert.equal(await readFile(join(tree, "a"), "utf8"), "plain");
  });

  it("taking away write permission from group and others", async () => {
    const tree = await installed(
      tarOf([
        { path: "d", type: "Directory", mode: 0o777 },
        { path: "d/a", mode: 0o666 },
      ]),
    );
    assert.equal((await stat(join(tree, "d"))).mode & 0o777, 0o755);
    assert.equal((await stat(join(tree, "d/a"))).mode & 0o777, 0o644);
  });

  it("with files in a directory that nobody may enter", async () => {
    const tree = await installed(
      tarOf([
        { path: "d", type: "Directory", mode: 0 },
        { path: "d/a", mode: 0 },
      ]),
    );
    assert.equal((await stat(join(tree, "d/a"))).mode & 0o777, 0o400);
  });

  const long = `${"páth".repeat(20)}/${"ñame".repeat(40)}`;
  for (const format of ["gnu", "pax", "ustar"]) {
    it(`as GNU tar writes it in ${format} format`, async () => {
      const app = join(scratch.dir, "app");
      // What ustar has room for.
      const name = format === "ustar" ? `${"p".repeat(90)}/${"n".repeat(90)}` : long;
      await mkdir(join(app, name, ".."), { recursive: true });
      await writeFile(join(app, name), "long");
      await symlink(format === "ustar" ? dirname(name) : name, join(app, "link"));
      await writeFile(join(app, "big"), Buffer.alloc(700_000, "x"));
      const archive = execFileSync("tar", ["-cz", `--format=${format}`, "-C", app, "."], { maxBuffer: 1e8 });
      const tree = await installed(archive);
      const linked = format === "ustar" ? join("link", basename(name)) : "link";
      assert.equal(await readFile(join(tree, linked), "utf8"), "long");
      assert.equal((await readFile(join(tree, "big"))).length, 700_000);
    });
  }

  it("as node-tar writes it", async () => {
    const app = join(scratch.dir, "app");
    await mkdir(join(app, long, ".."), { recursive: true });
    await writeFile(join(app, long), "long");
    const file = join(scratch.dir, "app.tgz");
    await create({ file, gzip: true, cwd: app }, ["."]);
    const tree = await installed(await readFile(file));
    assert.equal(await readFile(join(tree, long), "utf8"), "long");
  });

  it("as git archive writes it, with a global header", async () => {
    const global = record({
      path: "pax_global_header",
      type: "GlobalExtendedHeader",
      content: paxOf({ comment: "0123456789" }),
    });
    const tree = await installed(Buffer.concat([global, tarOf([{ path: "a", content: "x" }])]));
    assert.equal(await readFile(join(tree, "a"), "utf8"), "x");
  });

  it("with every long name whole, wherever a chunk ends", async () => {
    // 700 headers of names in two-byte characters, shifted so that chunk borders fall into them.
    const names = Array.from({ length: 700 }, (_, i) => `${"é".repeat(1 + (i % 120))}${i}/${"ñ".repeat(100)}`);
    const tree = await installed(tarOf(names.map((path) => ({ path: "short", pax: { path }, content: path }))));
    for (const name of names) assert.equal(await readFile(join(tree, name), "utf8"), name);
  });

  it("telling how many entries are done, and the total at the end", async () => {
    const store = await openStore(scratch.dir);
    const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", manyFiles(1000)), quietly());
    const seen: Progress[] = [];
    await store.unpack(fetched, { ...quietly(), onProgress: (progress) => seen.push(progress) });
    assert.deepEqual(seen[0], { done: 250, total: 0 });
    assert.deepEqual(seen.at(-1), { done: 1000, total: 1000 });
  });

  it("while the event loop stays free", async () => {
    const store = await openStore(scratch.dir);
    const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", manyFiles(2000)), quietly());
    let longest = 0;
    let last = performance.now();
    const ticks = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    scratch.ends.push(() => clearInterval(ticks));
    await store.unpack(fetched, quietly());
    assert.ok(longest < 500, `held for ${longest} ms`);
  });
});

describe("a release is refused whole", () => {
  const good: Made = { path: "good", content: "good" };
  const unsafe: [string, RegExp, Made[]][] = [
    ["an absolute name", /"\/etc\/x" has an absolute name/, [{ path: "/etc/x" }]],
    ["a name with '..'", /"\.\.\/x" has '\.\.'/, [{ path: "../x" }]],
    ["a long name with '..'", /has '\.\.'/, [{ path: "x", pax: { path: "a/../../x" } }]],
    ["a name with a newline", /control character/, [{ path: "a\nb" }]],
    ["a name with a NUL", /control character/, [{ path: "x", pax: { path: "a\0b" } }]],
    ["a name with a backslash", /backslash/, [{ path: "..\\x" }]],
    ["a name that is too long", /longer than 255/, [{ path: "x", pax: { path: "x".repeat(256) } }]],
    ["a symbolic link to an absolute path", /absolute path/, [{ path: "a", type: "SymbolicLink", linkpath: "/etc" }]],
    ["a symbolic link to outside", /leads outside/, [{ path: "a", type: "SymbolicLink", linkpath: "../x" }]],
    [
      "a long symbolic link to outside",
      /outside/,
      [{ path: "a", type: "SymbolicLink", linkpath: "b", pax: { linkpath: "../x" } }],
    ],
    [
      "a write through a symbolic link",
      /through/,
      [{ path: "a", type: "SymbolicLink", linkpath: "." }, { path: "a/x" }],
    ],
    ["a hard link to outside", /hard link/, [{ path: "a", type: "Link", linkpath: "../../../../etc/passwd" }]],
    ["a hard link to an absolute path", /hard link/, [{ path: "a", type: "Link", linkpath: "/etc/passwd" }]],
    ["a character device", /CharacterDevice/, [{ path: "a", type: "CharacterDevice" }]],
    ["a block device", /BlockDevice/, [{ path: "a", type: "BlockDevice" }]],
    ["a FIFO", /FIFO/, [{ path: "a", type: "FIFO" }]],
    ["a type that tar does not know", /SparseFile/, [{ path: "a", type: "SparseFile" }]],
    ["a sparse file in pax form", /sparse/, [{ path: "a", pax: { "GNU.sparse.major": "1" } }]],
    ["setuid", /setuid/, [{ path: "a", mode: 0o4755 }]],
    ["setgid", /setgid/, [{ path: "a", mode: 0o2755 }]],
    ["the sticky bit", /sticky/, [{ path: "a", type: "Directory", mode: 0o1777 }]],
    ["a name twice", /twice/, [{ path: "good" }]],
    ["names that differ in case", /only in case/, [{ path: "Good" }]],
    ["names that differ in Unicode form", /Unicode form/, [{ path: "caf\u00e9" }, { path: "cafe\u0301" }]],
  ];
  for (const [what, rule, entries] of unsafe) {
    it(`for ${what}`, async () => {
      await refused(tarGzOf([good, ...entries]), "ARCHIVE_UNSAFE", rule);
    });
  }

  it("for a bomb, long before it is unpacked", async () => {
    const bomb = gzipSync(
      Buffer.concat([record({ path: "bomb", content: Buffer.alloc(50 * 1024 ** 2) }), Buffer.alloc(1024)]),
    );
    await refused(bomb, "RELEASE_TOO_LARGE", /max_unpacked_bytes/, { maxUnpackedBytes: 1024 ** 2 });
  });

  it("for a bomb in many files", async () => {
    const parts = Array.from({ length: 20 }, (_, i) => ({ path: `f${i}`, content: Buffer.alloc(100_000) }));
    await refused(tarGzOf(parts), "RELEASE_TOO_LARGE", /max_unpacked_bytes/, { maxUnpackedBytes: 1024 ** 2 });
  });

  // Small once compressed, and much work: no file in it has content.
  const long = "x".repeat(512 * 1024);
  const extensions: [what: string, entries: Made[]][] = [
    ["pax headers", Array.from({ length: 20 }, (_, i) => ({ path: `f${i}`, pax: { comment: long } }))],
    [
      "global pax headers",
      Array.from({ length: 20 }, (_, i) =>
        i % 2 === 1
          ? { path: `f${i}` }
          : { path: "g", type: "GlobalExtendedHeader" as const, content: paxOf({ comment: long }) },
      ),
    ],
    ...(["NextFileHasLongPath", "OldGnuLongPath", "NextFileHasLongLinkpath"] as const).map((type): [string, Made[]] => [
      `long names of type ${type}`,
      // The name itself is short: NULs follow it.
      Array.from({ length: 20 }, (_, i) =>
        i % 2 === 1
          ? { path: `f${i}` }
          : { path: "g", type, content: Buffer.concat([Buffer.from(`n${i}`), Buffer.alloc(long.length)]) },
      ),
    ]),
  ];
  for (const [what, entries] of extensions) {
    it(`for a bomb of ${what}`, async () => {
      const archive = tarGzOf(entries);
      assert.ok(archive.length < 100_000);
      await refused(archive, "RELEASE_TOO_LARGE", /max_unpacked_bytes/, { maxUnpackedBytes: 1024 ** 2 });
    });
  }

  it("for too many entries", async () => {
    await refused(manyFiles(1000), "RELEASE_TOO_LARGE", /max_entries/, { maxEntries: 500 });
  });

  it("for one directory named again and again", async () => {
    const again = Array.from({ length: 200 }, () => ({ path: "d/", type: "Directory" as const, mode: 0o755 }));
    await refused(tarGzOf(again), "RELEASE_TOO_LARGE", /max_entries/, { maxEntries: 100 });
  });

  it("for too many directories that names imply", async () => {
    const deep = Array.from({ length: 20 }, (_, i) => ({ path: `${i}/${"d/".repeat(30)}f` }));
    await refused(tarGzOf(deep), "RELEASE_TOO_LARGE", /max_entries/, { maxEntries: 500 });
  });
});

describe("an archive is called corrupt", () => {
  const app = appTar();
  const plain = tarOf([{ path: "a", content: "x".repeat(2000) }]);
  const flipped = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 0x10;
    return copy;
  };
  const cases: [string, RegExp, Buffer][] = [
    ["cut short, as gzip", /unexpected end/, app.subarray(0, app.length - 20)],
    ["cut in the gzip header", /unexpected end/, app.subarray(0, 5)],
    ["cut short in a file", /ends too early/, plain.subarray(0, 1000)],
    ["cut short in a header", /ends too early/, plain.subarray(0, 300)],
    ["cut short between entries", /ends too early/, tarOf([{ path: "a" }], { end: false })],
    [
      "cut short after a long name",
      /after an extended header/,
      Buffer.concat([record({ path: "x", type: "ExtendedHeader", content: paxOf({ path: "y" }) }), Buffer.alloc(1024)]),
    ],
    ["a flipped bit in the compressed data", /./, flipped(app, Math.floor(app.length / 2))],
    ["a flipped bit in the checksum", /incorrect data check/, flipped(app, app.length - 7)],
    ["a flipped bit in a header", /checksum/, flipped(plain, 2)],
    ["garbage after the gzip data", /./, Buffer.concat([app, Buffer.from("garbage")])],
    ["zeros and garbage after the gzip data", /./, Buffer.concat([app, Buffer.alloc(600_000), Buffer.from("garbage")])],
    ["garbage after the end", /follows its end/, Buffer.concat([plain, Buffer.from("garbage")])],
    ["an entry after the end", /follows its end/, Buffer.concat([plain, record({ path: "b" })])],
    [
      "an entry after a lone empty block",
      /follows its end/,
      Buffer.concat([record({ path: "b" }), Buffer.alloc(512), plain]),
    ],
    ["endless padding", /padding/, gzipSync(Buffer.concat([plain, Buffer.alloc(8 * 1024 ** 2)]))],
    ["empty", /empty/, tarGzOf([])],
    ["nothing but the directory itself", /empty/, tarGzOf([{ path: "./", type: "Directory", mode: 0o755 }])],
    ["an empty gzip", /ends too early/, gzipSync(Buffer.alloc(0))],
    ["one byte", /ends too early/, Buffer.of(0x1f)],
    ["a web page", /not a tar archive/, Buffer.from("<html>".repeat(1000))],
    [
      "compressed twice",
      /not a tar archive/,
      gzipSync(gzipSync(tarOf(Array.from({ length: 400 }, (_, i) => ({ path: `${i}${Math.random()}` }))))),
    ],
    [
      "a pax header with a wrong length",
      /wrong length/,
      Buffer.concat([record({ path: "x", type: "ExtendedHeader", content: "99 path=b\n" }), plain]),
    ],
    [
      "a global header that names a path",
      /global header/,
      Buffer.concat([record({ path: "x", type: "GlobalExtendedHeader", content: paxOf({ path: "b" }) }), plain]),
    ],
    [
      "two long names for one entry",
      /two extended headers/,
      Buffer.concat([
        record({ path: "x", type: "NextFileHasLongPath", content: "b\0" }),
        record({ path: "x", type: "ExtendedHeader", content: paxOf({ path: "c" }) }),
        plain,
      ]),
    ],
    [
      "extended headers without end",
      /too many extended/,
      Buffer.concat([
        ...Array.from({ length: 20 }, () =>
          record({ path: "x", type: "ExtendedHeader", content: paxOf({ comment: "b" }) }),
        ),
        plain,
      ]),
    ],
    [
      "a hard link with content",
      /link has content/,
      tarOf([{ path: "a" }, { path: "b", type: "Link", linkpath: "a", content: "x" }]),
    ],
  ];
  for (const [what, why, archive] of cases) {
    it(`when it is ${what}`, () => refused(archive, "ARCHIVE_CORRUPT", why));
  }
});

describe("unpacking that is interrupted", () => {
  it("an abort in the middle of unpacking ends the thread, gives the reason and leaves nothing", async () => {
    const store = await openStore(scratch.dir);
    const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", manyFiles(4000)), quietly());
    const abort = new AbortController();
    const reason = new Error("superseded");
    const calls: Progress[] = [];
    const unpacking = store.unpack(fetched, {
      signal: abort.signal,
      onProgress: (progress) => {
        calls.push(progress);
        abort.abort(reason);
      },
    });
    await assert.rejects(unpacking, (error) => error === reason);
    assert.equal(calls.length, 1);
    assert.deepEqual(await namesIn(store.dir), []);
  });

  it("an archive that was emptied after its fetch is corrupt", async () => {
    const store = await openStore(scratch.dir);
    const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", appTar()), quietly());
    await writeFile(join(fetched.dir, "archive"), "");
    await failsWith(store.unpack(fetched, quietly()), "ARCHIVE_CORRUPT");
  });
});
