import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { ReleaseStore } from "../../../../agent/releases/store/store.ts";
import type { Release } from "../../../../protocol/release.ts";
import { serve } from "../support/archive-server.ts";
import { bounds, install, noObjects, openStore, releaseOf } from "../support/installing.ts";
import { namesIn, useScratch } from "../support/scratch.ts";
import { appTar, manyFiles } from "../support/tar-builder.ts";

const scratch = useScratch();
const CHILD = fileURLToPath(new URL("../support/install-child.js", import.meta.url));

/** A process that installs a release and freezes at a point; resolves when it is there. */
async function installUntil(point: string, release: Release): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD, scratch.dir, JSON.stringify(release), point], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  scratch.ends.push(() => child.kill("SIGKILL"));
  const first = await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  assert.equal(String(first[0]).trim(), point);
  return child;
}

async function kill9(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

describe("an install that is killed", () => {
  for (const point of ["fetching", "fetched", "unpacking", "installed"]) {
    it(`after a kill -9 while ${point}, the next start converges`, async () => {
      const archive = manyFiles(2000);
      const server = await serve((response, attempt) => {
        if (attempt > 1 || point !== "fetching") return response.end(archive);
        // A slow server: the rest never comes.
        response.writeHead(200, { "content-length": archive.length });
        return response.write(archive.subarray(0, archive.length / 2));
      });
      scratch.ends.push(() => server.close());
      const old = await openStore(scratch.dir);
      await install(old, await oldRelease());
      const release = releaseOf("v1", archive, server.origin);

      await kill9(await installUntil(point, release));

      const store = new ReleaseStore(join(scratch.dir, "releases"), bounds, noObjects);
      const before = await store.find("v1");
      const swept = await store.prepare();
      if (point === "installed") {
        assert.ok(before);
        assert.deepEqual(swept, []);
      } else {
        assert.equal(before, null);
        assert.equal(swept.length, 1);
        assert.match(swept[0] ?? "", /^\.incoming-/);
        await install(store, release);
      }
      const found = await store.find("v1");
      assert.equal((await readdir(found?.tree ?? "", { recursive: true })).length, 2050);
      assert.deepEqual(await namesIn(store.dir), ["old", "v1"]);
      assert.ok(await store.find("old"));
    });
  }
});

async function oldRelease(): Promise<Release> {
  const archive = appTar("old");
  const server = await serve((response) => response.end(archive));
  scratch.ends.push(() => server.close());
  return releaseOf("old", archive, server.origin);
}
