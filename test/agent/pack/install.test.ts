import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, link, lstat, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { deltaHeadName } from "../../../protocol/manifest.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { scratch } from "../cli/support/scratch.ts";
import { startSlotctl } from "../cli/support/slotctl.ts";
import { install, openStore, quietly } from "../releases/support/installing.ts";
import { ballast, fill, pack, releaseOf } from "./support.ts";

const LONG = `${"d".repeat(120)}/${"é".repeat(60)}/${"f".repeat(200)}.js`;

async function makeApp(dir: string): Promise<string> {
  const app = join(dir, "app");
  await fill(app, { "server.js": "serve", [LONG]: "long", "naïve – 数.txt": "x", "data/ballast": ballast, empty: "" });
  await fill(app, { "bin/run": "#!/bin/sh\n", "old/gone.txt": "gone", "old/kept.txt": "kept", thing: "a file" });
  await chmod(join(app, "bin/run"), 0o700);
  await mkdir(join(app, "nothing/here"), { recursive: true });
  await link(join(app, "server.js"), join(app, "same.js"));
  await symlink("../server.js", join(app, "bin/server"));
  await symlink("x".repeat(150), join(app, "long-link"));
  return app;
}

describe("a packed release", () => {
  for (const format of ["gz", "zst"] as const) {
    it(`packed as ${format} is unpacked by GNU tar and by the agent to the same tree`, async (t) => {
      const dir = await scratch(t);
      const app = await makeApp(dir);
      const packed = await pack(t, [app, "--version", "1", "--to", join(dir, "out"), "--format", format]);
      const store = await openStore(dir);
      const installed = await install(store, releaseOf(packed, format));
      assert.equal(installed.treeDigest, packed.description.tree);

      const unpacked = join(dir, "tar");
      await mkdir(unpacked);
      const archive = join(dir, "out", packed.description.archives[0]?.file as string);
      execFileSync("tar", ["-xf", archive, "-C", unpacked], { stdio: ["ignore", "ignore", "inherit"] });
      for (const tree of [unpacked, installed.tree]) {
        execFileSync("diff", ["-r", "--no-dereference", app, tree], { stdio: "inherit" });
        assert.equal((await lstat(join(tree, "bin/run"))).mode & 0o777, 0o755);
        assert.equal((await lstat(join(tree, "server.js"))).mode & 0o777, 0o644);
        assert.ok((await lstat(join(tree, "nothing/here"))).isDirectory());
      }
    });

    it(`installed by a ${format} delta against each of two bases has the tree of the whole archive`, async (t) => {
      const dir = await scratch(t);
      const app = await makeApp(dir);
      const common = [app, "--to", join(dir, "out"), "--format", format];
      const one = await pack(t, [...common, "--version", "1"]);
      await writeFile(join(app, "server.js"), "serve better");
      const two = await pack(t, [...common, "--version", "2", "--base", one.path]);
      // A file becomes a directory, a directory is removed, a link gets another target, a mode changes, a name changes
      // case.
      await rm(join(app, "thing"));
      await fill(app, { "thing/inside": "now a directory", "New.txt": "new", EMPTY: "" });
      await rm(join(app, "empty"));
      await rm(join(app, "old"), { recursive: true });
      await rm(join(app, "long-link"));
      await symlink("server.js", join(app, "long-link"));
      await chmod(join(app, "server.js"), 0o755);
      const three = await pack(t, [...common, "--version", "3", "--base", one.path, "--base", two.path]);
      assert.equal(three.description.deltas.length, 2);

      for (const base of [one, two]) await installsByDelta(t, base, three, format, base.description.tree);
      // Without the base, the whole archive is fetched.
      const bare = await openStore(join(dir, "bare"));
      const fetched = await bare.fetch(releaseOf(three, format), quietly());
      assert.equal(fetched.base, null);
      assert.equal((await bare.unpack(fetched, quietly())).treeDigest, three.description.tree);
    });
  }

  async function installsByDelta(
    t: TestContext,
    base: Awaited<ReturnType<typeof pack>>,
    target: Awaited<ReturnType<typeof pack>>,
    format: "gz" | "zst",
    baseTree: string,
  ): Promise<void> {
    const store = await openStore(await scratch(t));
    await install(store, releaseOf(base, format));
    const fetched = await store.fetch(releaseOf(target, format), quietly());
    assert.equal(fetched.base?.treeDigest, baseTree);
    const installed = await store.unpack(fetched, quietly());
    assert.equal(installed.treeDigest, target.description.tree);
    assert.equal(await readFile(join(installed.tree, "thing/inside"), "utf8"), "now a directory");
  }

  it("has a delta with only its head and the new files", async (t) => {
    const dir = await scratch(t);
    const app = join(dir, "app");
    await fill(app, { same: ballast, changed: "1", "gone/x": "x" });
    const one = await pack(t, [app, "--version", "1", "--to", dir]);
    await fill(app, { changed: "2", "new/y": "y" });
    await rm(join(app, "gone"), { recursive: true });
    await pack(t, [app, "--version", "2", "--to", dir, "--base", one.path]);
    const delta = join(dir, "app-2-from-1.tar.gz");
    const listed = execFileSync("tar", ["-tf", delta], { encoding: "utf8" }).trim().split("\n");
    assert.deepEqual(listed, [deltaHeadName, "changed", "new/", "new/y"]);
    const head = JSON.parse(execFileSync("tar", ["-xOf", delta, deltaHeadName], { encoding: "utf8" }));
    assert.deepEqual(head, { format: 1, base: one.description.tree, without: ["changed", "gone", "gone/x"] });
  });

  it("of 11,000 files is packed in limited memory", { timeout: 3 * PATIENCE_MS }, async (t) => {
    const dir = await scratch(t);
    const app = join(dir, "app");
    for (let i = 0; i < 110; i++)
      await fill(
        app,
        Object.fromEntries(Array.from({ length: 100 }, (_, j) => [`m${i}/f${j}.js`, `${i} ${j} `.repeat(j)])),
      );
    // More than the memory allowed below.
    for (let i = 0; i < 3; i++) await writeFile(join(app, `big${i}`), Buffer.alloc(100 * 1024 ** 2, i));
    const packing = startSlotctl(t, ["pack", app, "--version", "1", "--to", join(dir, "out"), "--json"]);
    let peakKb = 0;
    const look = setInterval(() => {
      const status = statusOf(packing.child.pid as number);
      peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    }, 100);
    t.after(() => clearInterval(look));
    const ended = await packing.ended.finally(() => clearInterval(look));
    assert.equal(ended.exitCode, 0, ended.stderr);
    assert.equal(JSON.parse(ended.stdout).entries, 11_113);
    assert.ok(peakKb > 0 && peakKb < 250 * 1024, `${peakKb} KiB`);
  });
});

/** Empty once the process has ended. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
