import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { writeDurablySync } from "../../../agent/os/durable-file.ts";
import { holdLock } from "../../../agent/os/lock.ts";
import { until } from "../../support/until.ts";

describe("files that must survive, and a lock that must not", () => {
  let directory: string;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-files-"));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await end(child);
    rmSync(directory, { recursive: true });
  });

  /** A process of its own that runs this with the module's exports. */
  const elsewhere = (module: string, script: string) => {
    const url = new URL(`../../../agent/os/${module}.js`, import.meta.url).href;
    const text = `const os = await import(${JSON.stringify(url)}); ${script}`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", text], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    return child;
  };
  const end = async (child: ChildProcess) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };

  it("a file holds the old content or the new one, whole, whenever its writer is killed", async () => {
    const path = join(directory, "file");
    writeDurablySync(path, "0".repeat(300_000));
    const seen = new Set<string>();
    for (let round = 0; round < 8; round++) {
      const script = `for (let n = 0; ; n = (n + 1) % 10) os.writeDurablySync(${JSON.stringify(path)}, String(n).repeat(300_000));`;
      const child = elsewhere("durable-file", script);
      const before = statSync(path).ino;
      await until("it writes", () => statSync(path).ino !== before, { everyMs: 1 + round });
      await end(child);
      const content = readFileSync(path, "utf8");
      assert.equal(content.length, 300_000);
      assert.equal(content, (content[0] as string).repeat(300_000));
      seen.add(content[0] as string);
    }
    writeDurablySync(path, "the end");
    assert.equal(readFileSync(path, "utf8"), "the end");
    assert.deepEqual(readdirSync(directory), ["file"], "nothing that a killed writer left beside is there for ever");
  });

  it("a file is its owner's only, unless said otherwise", () => {
    writeDurablySync(join(directory, "secret"), "x");
    writeDurablySync(join(directory, "open"), "x", 0o644);
    assert.equal(statSync(join(directory, "secret")).mode & 0o777, 0o600);
    assert.equal(statSync(join(directory, "open")).mode & 0o777, 0o644);
  });

  it("a write that fails leaves what was there, and nothing beside", () => {
    const path = join(directory, "in-the-way");
    mkdirSync(join(path, "child"), { recursive: true });
    assert.throws(() => writeDurablySync(path, "x"), { code: "EISDIR" });
    assert.throws(() => writeDurablySync(join(directory, "nowhere", "file"), "x"), { code: "ENOENT" });
    assert.deepEqual(readdirSync(directory), ["in-the-way"]);
  });

  it("a lock keeps another process out until its holder ends, however it ends", async () => {
    const path = join(directory, "lock");
    const holder = elsewhere(
      "lock",
      `os.holdLock(${JSON.stringify(path)}); console.log("held"); setInterval(() => {}, 1000);`,
    );
    await once(holder.stdout as NonNullable<ChildProcess["stdout"]>, "data");
    assert.throws(() => holdLock(path), { code: "AGENT_RUNNING" });
    assert.throws(() => holdLock(path), { code: "AGENT_RUNNING" });
    await end(holder);
    const lock = holdLock(path);
    assert.throws(() => holdLock(path), { code: "AGENT_RUNNING" });
    lock.release();
    // A second time it does nothing, above all not to a descriptor that has the number by now.
    const next = holdLock(path);
    lock.release();
    assert.throws(() => holdLock(path), { code: "AGENT_RUNNING" });
    next.release();
    assert(existsSync(path));
  });

  it("a lock is not inherited by the processes that its holder starts", async () => {
    const path = join(directory, "lock");
    writeFileSync(path, "");
    const lock = holdLock(path);
    const child = spawn("sleep", ["600"], { stdio: "ignore" });
    children.push(child);
    await once(child, "spawn");
    lock.release();
    holdLock(path).release();
  });
});
