import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, rename, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { scratch } from "../cli/support/scratch.ts";
import { digests, fill, pack } from "./support.ts";

const FILES = { "b.txt": "b", "a/z.js": "z".repeat(100_000), "a/ü.txt": "u", "bin/run": "#!/bin/sh\n" };
const BOTH = ["--format", "zst", "--format", "gz"];

describe("packing twice", () => {
  it("gives the same bytes for two checkouts with another umask, times, file order and location", async (t) => {
    const dir = await scratch(t);
    const one = join(dir, "one");
    const two = join(dir, "deeper/two");
    await fill(one, FILES);
    await fill(two, Object.fromEntries(Object.entries(FILES).reverse()));
    for (const [path, mode] of [
      ["b.txt", 0o600],
      ["a", 0o2770],
      ["a/z.js", 0o664],
    ] as const)
      await chmod(join(two, path), mode);
    await chmod(join(one, "bin/run"), 0o755);
    await chmod(join(two, "bin/run"), 0o700);
    await utimes(join(two, "b.txt"), 1000, 1000);
    await mkdir(join(one, "empty"));
    await mkdir(join(two, "empty"));
    const common = ["--version", "1", "--name", "web", ...BOTH];
    const first = await pack(t, [one, ...common, "--to", join(dir, "x")]);
    await pack(t, [two, ...common, "--to", join(dir, "y")], { TZ: "Asia/Tokyo", LC_ALL: "C" });
    const packed = await digests(join(dir, "x"));
    assert.deepEqual(packed, await digests(join(dir, "y")));
    const names = ["web-1.manifest.json", "web-1.release.json", "web-1.tar.gz", "web-1.tar.zst"];
    assert.deepEqual(Object.keys(packed), names);
    assert.deepEqual(
      first.description.archives.map(({ file, sha256 }) => [file, sha256]),
      [
        ["web-1.tar.gz", packed["web-1.tar.gz"]],
        ["web-1.tar.zst", packed["web-1.tar.zst"]],
      ],
    );
    // And again to the same directory.
    await pack(t, [one, ...common, "--to", join(dir, "x")]);
    assert.deepEqual(await digests(join(dir, "x")), packed);
  });

  it("gives changed files another time, and all files the same time with SOURCE_DATE_EPOCH", async (t) => {
    const dir = await scratch(t);
    const app = join(dir, "app");
    const listing = (name: string) =>
      execFileSync("tar", ["-tv", "--full-time", "--utc", "-f", join(dir, name)], { encoding: "utf8" });
    await fill(app, { x: "1", y: "1", z: "2" });
    await pack(t, [app, "--version", "1", "--to", dir]);
    const times = listing("app-1.tar.gz")
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/).slice(3, 5).join(" "));
    assert.equal(times[0], times[1]);
    assert.notEqual(times[0], times[2]);
    await pack(t, [app, "--version", "2", "--to", dir], { SOURCE_DATE_EPOCH: "1234567890" });
    assert.equal(listing("app-2.tar.gz").match(/2009-02-13 23:31:30/g)?.length, 3);
  });

  it("gives the same bytes for a delta", async (t) => {
    const dir = await scratch(t);
    const app = join(dir, "app");
    await fill(app, FILES);
    const { path } = await pack(t, [app, "--version", "1", "--to", dir]);
    await writeFile(join(app, "b.txt"), "other");
    await rename(join(app, "bin"), join(app, "sbin"));
    const args = [app, "--version", "2", "--base", path, ...BOTH];
    await pack(t, [...args, "--to", join(dir, "x")]);
    const { description } = await pack(t, [...args, "--to", join(dir, "y")]);
    assert.deepEqual(await digests(join(dir, "x")), await digests(join(dir, "y")));
    assert.deepEqual(
      description.deltas.map(({ file }) => file),
      ["app-2-from-1.tar.gz", "app-2-from-1.tar.zst"],
    );
  });
});
