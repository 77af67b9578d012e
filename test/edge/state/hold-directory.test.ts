import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { holdDirectory } from "../../../edge/state/hold-directory.ts";

describe("the lock of an edge's state directory", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-edge-lock-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const running = { code: "EDGE_RUNNING" };

  it("is held by one at a time, and free when that one releases it", () => {
    const held = holdDirectory(directory);
    assert.throws(() => holdDirectory(directory), running);
    held.release();
    holdDirectory(directory).release();
    assert.equal(statSync(join(directory, "lock")).mode & 0o777, 0o600);
  });

  it("is free when its holder is killed, and not before", async () => {
    const url = new URL("../../../edge/state/hold-directory.js", import.meta.url).href;
    const script = `(await import(${JSON.stringify(url)})).holdDirectory(${JSON.stringify(directory)});
      console.log("held"); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await once(holder.stdout, "data");
      assert.throws(() => holdDirectory(directory), running);
    } finally {
      holder.kill("SIGKILL");
      await once(holder, "exit");
    }
    holdDirectory(directory).release();
  });

  it("can't be taken by a user who may not enter the directory", async () => {
    // It was an abstract socket of this name, which any user could take.
    const squatter = createServer();
    squatter.listen(`\0slotd-edge:${directory}`);
    await once(squatter, "listening");
    try {
      holdDirectory(directory).release();
    } finally {
      squatter.close();
    }
  });

  it("is not taken in a directory that others can write to", () => {
    chmodSync(directory, 0o777);
    assert.throws(() => holdDirectory(directory), { code: "CONFIG_INVALID", message: /every user/ });
  });
});
