import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ReleaseStore } from "../../../../agent/releases/store/store.ts";
import type { Release } from "../../../../protocol/release.ts";
import { bounds, install, noObjects, openStore, quietly } from "../support/installing.ts";
import { ballast, entriesOf, packTree, type Tree } from "../support/packing.ts";
import { namesIn, useScratch } from "../support/scratch.ts";

const scratch = useScratch();
const CHILD = fileURLToPath(new URL("../support/install-child.js", import.meta.url));
const KILLS = 12;

/**
 * Installs a release in a process of its own, and says how long that took from its beginning, unless it was killed so
 * long after that.
 */
async function installIn(release: Release, killAfterMs?: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, scratch.dir, JSON.stringify(release), "never"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  scratch.ends.push(() => child.kill("SIGKILL"));
  const exit = once(child, "exit");
  await once(child.stdout, "data");
  const began = performance.now();
  if (killAfterMs !== undefined) {
    // The moment is what is random here.
    await sleep(killAfterMs);
    child.kill("SIGKILL");
  }
  await exit;
  return performance.now() - began;
}

describe("a delta's install that is killed", () => {
  it(`after a kill -9 at any of ${KILLS} moments of a delta install, the next start converges, and the base is whole`, async (t) => {
    const files: Tree = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`d${i % 40}/f${i}`, `file ${i}`]));
    const one = await packTree(scratch.dir, "1", { ballast, ...files });
    const two = await packTree(scratch.dir, "2", { ballast, ...files, "d0/f0": "changed" }, { bases: [one.manifest] });
    const first = await openStore(scratch.dir);
    const base = await install(first, one.release);
    // The whole archive can't be had: what converges, does so by the delta.
    const release = { ...two.release, url: `${two.release.url}.gone` };
    const wholeMs = await installIn(release);
    await first.remove("2");

    let unfinished = 0;
    for (let i = 0; i < KILLS; i++) {
      await installIn(release, (wholeMs * (i + Math.random())) / KILLS);
      const store = new ReleaseStore(join(scratch.dir, "releases"), bounds, noObjects);
      const found = await store.find("2");
      if (found) assert.deepEqual(await entriesOf(found.tree), two.manifest.entries);
      else unfinished++;
      await store.prepare();
      assert.deepEqual(await namesIn(store.dir), found ? ["1", "2"] : ["1"]);
      await store.remove("2");
    }
    t.diagnostic(`${unfinished} of ${KILLS} were killed before their end, of ${Math.round(wholeMs)} ms`);
    assert.ok(unfinished > 0);
    const store = await openStore(scratch.dir);
    const { tree } = await store.unpack(await store.fetch(release, quietly()), quietly());
    assert.deepEqual(await entriesOf(tree), two.manifest.entries);
    assert.deepEqual(await entriesOf(base.tree), one.manifest.entries);
  });
});
