import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import {
  allPids,
  bootId,
  commandLine,
  descriptors,
  environment,
  findByToken,
  identify,
  isAlive,
  processAgeMs,
  processStat,
} from "../../../agent/os/process.ts";
import { until } from "../../support/until.ts";

/** Its first thread ends; another one lives on, and keeps a file open. */
const HEADLESS = `
import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(600)).start()
ctypes.CDLL(None).pthread_exit(None)
`;

describe("who a process is", () => {
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  const start = async (command: string, args: string[], env: NodeJS.ProcessEnv = {}) => {
    const child = spawn(command, args, { stdio: "ignore", env: { ...process.env, ...env } });
    await once(child, "spawn");
    undo.push(() => end(child));
    return child as ChildProcess & { pid: number };
  };
  const end = async (child: ChildProcess) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };

  it("is its pid, its start and this boot", async () => {
    const child = await start("sleep", ["600"]);
    const identity = identify(child.pid);
    assert(identity && isAlive(identity));
    assert.deepEqual(identify(child.pid), identity);
    assert.equal(identity.bootId, bootId());
    assert(!isAlive({ ...identity, startTime: identity.startTime - 1 }), "a pid that was given away again");
    assert(!isAlive({ ...identity, bootId: "another boot" }));
    assert(processAgeMs(identity) < 10_000);
    const own = identify(process.pid);
    assert(own && Math.abs(processAgeMs(own) - process.uptime() * 1000) < 1_000);
    await end(child);
    assert(!isAlive(identity));
    assert.equal(identify(child.pid), null);
    assert.equal(processStat(child.pid), null);
  });

  it("is read rightly where its name looks like the fields after it", async () => {
    const directory = mkdtempSync(join(tmpdir(), "slotd-process-"));
    undo.push(() => rmSync(directory, { recursive: true }));
    const name = join(directory, "a) Z 1 (b");
    symlinkSync("/bin/sleep", name);
    const child = await start(name, ["600"]);
    await until("it has become that", () => commandLine(child.pid).startsWith(name));
    const stat = processStat(child.pid);
    assert.deepEqual([stat?.parent, "SR".includes(stat?.state ?? "X")], [process.pid, true]);
    assert(identify(child.pid));
  });

  it("is nobody where it is a zombie", async () => {
    // The shell becomes a program that never collects its child.
    const parent = await start("/bin/sh", ["-c", "sleep 0.05 & exec sleep 600"]);
    const zombie = await until("its child is a zombie", () =>
      allPids().find((pid) => {
        const stat = processStat(pid);
        return stat?.parent === parent.pid && stat.state === "Z";
      }),
    );
    assert.equal(identify(zombie), null);
  });

  it("is itself still where only its first thread has ended", async () => {
    const child = await start("python3", ["-c", HEADLESS]);
    await until("the first thread has ended", () => processStat(child.pid)?.state === "Z");
    const identity = identify(child.pid);
    assert(identity && isAlive(identity));
    child.kill("SIGKILL");
    await once(child, "exit");
    assert(!isAlive(identity));
  });

  it("is known by a word in its environment, whole and under that name only", async () => {
    const word = randomBytes(16).toString("hex");
    const [right] = await Promise.all([
      start("sleep", ["600"], { TEST_TOKEN: word, COLOUR: "blue=green" }),
      start("sleep", ["600"], { TEST_TOKEN: `${word}.b` }),
      start("sleep", ["600"], { MY_TEST_TOKEN: word }),
      start("sleep", ["600"], { NOTE: `TEST_TOKEN=${word}` }),
      start("sleep", [`600`], { OTHER: word }),
    ]);
    await until("it is found", () => findByToken("TEST_TOKEN", word).length > 0);
    const found = findByToken("TEST_TOKEN", word);
    assert.deepEqual(
      found.map(({ identity }) => identity),
      [identify(right?.pid as number)],
    );
    assert.equal(found[0]?.env.get("COLOUR"), "blue=green");
    assert.equal(environment(2 ** 22 - 1), null);
  });

  it("shows its command and its descriptors", async () => {
    const child = await start(process.execPath, ["-e", "setInterval(() => {}, 1000)", "an argument"]);
    await until("it runs", () => commandLine(child.pid).endsWith("an argument"));
    assert.equal(descriptors(child.pid).get(0), "/dev/null");
    assert.equal(descriptors(2 ** 22 - 1).size, 0);
    assert.equal(commandLine(2 ** 22 - 1), "unknown");
  });
});
