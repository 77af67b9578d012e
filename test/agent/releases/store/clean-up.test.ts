import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CleanUp } from "../../../../agent/releases/store/clean-up.ts";
import { useScratch } from "../support/scratch.ts";

const policy = { keep: 1, maxBytes: null, maxDiskPercent: 100 };

describe("the clean-up of releases", () => {
  const scratch = useScratch();

  /** A store of directories, one a day. */
  function storeOf(...versions: string[]) {
    const dir = join(scratch.dir, "releases");
    for (const version of versions) {
      mkdirSync(join(dir, version, "tree"), { recursive: true });
      writeFileSync(join(dir, version, "tree/file"), version);
    }
    return {
      dir,
      list: async () =>
        (await readdir(dir)).sort().map((version) => ({
          version,
          sha256: "",
          treeDigest: null,
          tree: join(dir, version, "tree"),
          installedAt: `2026-01-${version.slice(1).padStart(2, "0")}`,
          bytes: 1,
        })),
      remove: async (version: string) => rmSync(join(dir, version), { recursive: true }),
    };
  }
  const cleanUp = (store: ReturnType<typeof storeOf>, needed: string[], over: Partial<typeof policy> = {}) =>
    new CleanUp(
      store,
      { ...policy, ...over },
      (version) => needed.includes(version),
      () => {},
    );

  it("removes the oldest that no slot needs, and keeps the newest", async () => {
    const store = storeOf("v1", "v2", "v3", "v4", "v5");
    assert.deepEqual(await cleanUp(store, ["v1", "v4"]).run(), ["v2", "v3"]);
    assert.deepEqual(await readdir(store.dir), ["v1", "v4", "v5"]);
    assert.deepEqual(await cleanUp(store, ["v1", "v4"]).run(), []);
  });

  it("leaves what a process stands in, runs from, or has a file of open, until it has ended", async () => {
    const store = storeOf("v1", "v2", "v3", "v4");
    const [stands, reads] = [
      spawn("sleep", ["600"], { cwd: join(store.dir, "v1/tree") }),
      spawn("sh", ["-c", `exec 5<"${store.dir}/v2/tree/file"; echo open; exec sleep 600`], {
        stdio: ["ignore", "pipe", "ignore"],
      }),
    ];
    try {
      await once(reads.stdout, "data");
      assert.deepEqual(await cleanUp(store, [], { keep: 0 }).run(), ["v3", "v4"]);
    } finally {
      const ended = [stands, reads].map((child) => once(child, "exit"));
      for (const child of [stands, reads]) child.kill("SIGKILL");
      await Promise.all(ended);
    }
    assert.deepEqual(await cleanUp(store, [], { keep: 0 }).run(), ["v1", "v2"]);
  });

  it("takes one version for another that begins like it no more than the name says", async () => {
    const store = storeOf("v1", "v11");
    const child = spawn("sleep", ["600"], { cwd: join(store.dir, "v11/tree") });
    try {
      await once(child, "spawn");
      assert.deepEqual(await cleanUp(store, [], { keep: 0 }).run(), ["v1"]);
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  });

  it("makes room of all that is not needed, also of what is to be kept", async () => {
    const store = storeOf("v1", "v2", "v3", "v4");
    assert.deepEqual(await cleanUp(store, ["v2"], { keep: 4 }).makeRoom(), ["v1", "v3", "v4"]);
  });

  it("spares what comes to be needed while others are removed", async () => {
    const store = storeOf("v1", "v2", "v3");
    const needed: string[] = [];
    const remove = store.remove;
    store.remove = async (version) => {
      needed.push("v2");
      await remove(version);
    };
    assert.deepEqual(await cleanUp(store, needed, { keep: 0 }).run(), ["v1", "v3"]);
  });
});
