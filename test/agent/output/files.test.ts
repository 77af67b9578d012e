import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FileOutput } from "../../../agent/output/files.ts";
import { until } from "../../support/until.ts";
import { mountTmpfs } from "../releases/support/tmpfs.ts";

const MIB = 1024 ** 2;
const ALL = { slot: null, worker: null, lines: 10_000 };

describe("files of workers' output", () => {
  let directory: string;
  const undo: (() => unknown)[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-output-"));
  });
  afterEach(async () => {
    try {
      for (const step of undo.splice(0).reverse()) await step();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  const path = (name = "a-0.log") => join(directory, name);
  const writer = (worker = 0) => ({ slot: "a", version: "1", worker });
  const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);
  const text = (lines: string[]) => lines.map((line) => `${line}\n`).join("");
  /** Of a file and its older half. */
  const size = (file = path()) =>
    [file, `${file}.1`].reduce((sum, each) => sum + (statSync(each, { throwIfNoEntry: false })?.size ?? 0), 0);

  /** The lines told so far, from now on until the test ends. */
  function follow(output: FileOutput, lines = 10_000, filter: { slot?: string; worker?: number } = {}): string[] {
    const told: string[] = [];
    const gone = new AbortController();
    const reading = (async () => {
      for await (const { line } of output.read({ ...ALL, lines, ...filter }, gone.signal)) told.push(line);
    })();
    undo.push(async () => {
      gone.abort();
      await reading;
    });
    return told;
  }

  async function told(output: FileOutput, lines: number): Promise<string[]> {
    const found: string[] = [];
    for await (const { line } of output.read({ ...ALL, lines }, null)) found.push(line);
    return found;
  }

  /** A process that appends to a worker's file; ended with the test. */
  function start(output: FileOutput, script: string): ChildProcess {
    const fd = output.open(writer());
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", fd, fd] });
    closeSync(fd);
    undo.push(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    return child;
  }

  it("are read over their cut: the first of the last lines are in the older half", async () => {
    const output = new FileOutput(directory, 200_000);
    writeFileSync(path(), text(numbered(0, 12_000)));
    await output.trim();
    assert.equal(statSync(path()).size, 0);
    assert.deepEqual(await output.lastLines(writer(), 3), numbered(11_997, 12_000));
    appendFileSync(path(), text(numbered(12_000, 12_002)));
    assert.deepEqual(await told(output, 5), numbered(11_997, 12_002));
    assert.deepEqual(await told(output, 2), numbered(12_000, 12_002));
    assert.deepEqual(await told(output, 0), []);
  });

  it("are followed over cuts: each line is told once, also those that were cut off before", async () => {
    const output = new FileOutput(directory, 100_000);
    writeFileSync(path(), text(numbered(0, 10)));
    const lines = follow(output, 5);
    await until("the old ones are told", () => lines.length === 5);
    let next = 10;
    for (let round = 0; round < 5; round++) {
      appendFileSync(path(), text(numbered(next, next + 3_000)));
      await until("the first half is told", () => lines.at(-1) === `line ${next + 2_999}`);
      appendFileSync(path(), text(numbered(next + 3_000, next + 6_500)));
      next += 6_500;
      // In the middle of a line, which goes on after the cut.
      appendFileSync(path(), `line ${String(next).slice(0, 2)}`);
      assert(statSync(path()).size > 50_000);
      await output.trim();
      appendFileSync(path(), `${String(next).slice(2)}\n${text(numbered(next + 1, next + 11))}`);
      next += 11;
      await until("all is told", () => lines.at(-1) === `line ${next - 1}`);
    }
    const first = Number(lines[5]?.split(" ")[1]);
    assert.equal(first, 10);
    assert.deepEqual(lines, numbered(5, next));
  });

  it("are followed from their start where they grow back beyond what was read between two looks", async () => {
    const output = new FileOutput(directory, 100_000);
    writeFileSync(path(), text(numbered(0, 1_000)));
    const lines = follow(output, 1);
    await until("the old one is told", () => lines.length === 1);
    for (let round = 0; round < 3; round++) {
      writeFileSync(path(), "x".repeat(60_000), { flag: "a" });
      await output.trim();
    }
    appendFileSync(path(), `\n${text(numbered(0, 3_000))}`);
    await until("all is told", () => lines.at(-1) === "line 2999");
    assert.deepEqual(lines.slice(-3_000), numbered(0, 3_000));
  });

  it("are nobody else's to read, whatever the agent's umask is", () => {
    const umask = process.umask(0);
    undo.push(() => process.umask(umask));
    writeFileSync(path("a-1.log"), "", { mode: 0o666 });
    for (const worker of [0, 1]) {
      closeSync(new FileOutput(directory, 100_000).open(writer(worker)));
      assert.equal(statSync(path(`a-${worker}.log`)).mode & 0o777, 0o640);
    }
  });

  it("are followed where someone else cuts or removes them", async () => {
    const output = new FileOutput(directory, 100_000);
    writeFileSync(path(), "one\n");
    const lines = follow(output);
    await until("it is told", () => lines.length === 1);
    truncateSync(path());
    await until("that is seen", async () => {
      appendFileSync(path(), "2\n");
      return lines.at(-1) === "2";
    });
    rmSync(path());
    writeFileSync(path("a-2.log"), "of another\n");
    await until("the other's is told", () => lines.at(-1) === "of another");
    assert.equal(lines[0], "one");
  });

  it("tell a line that is not ended yet when it is, where they are followed", async () => {
    const output = new FileOutput(directory, 100_000);
    writeFileSync(path(), Buffer.from("one\nhalf é").subarray(0, -1));
    assert.deepEqual(await told(output, 5), ["one", "half \ufffd"]);
    const lines = follow(output);
    await until("the whole one is told", () => lines.length === 1);
    appendFileSync(path(), Buffer.concat([Buffer.from("é").subarray(1), Buffer.from("t\n\n")]));
    await until("the rest is told", () => lines.length === 3);
    assert.deepEqual(lines, ["one", "half ét", ""]);
  });

  it("tell bytes that are no text, and a line without an end in pieces", async () => {
    const output = new FileOutput(directory, 64 * MIB);
    const lines = follow(output);
    appendFileSync(path(), Buffer.concat([Buffer.from([0x63, 0xe9, 0x0a]), Buffer.alloc(8 * MIB, "y")]));
    await until("pieces are told", () => lines.reduce((sum, line) => sum + line.length, 0) > 7.9 * MIB);
    appendFileSync(path(), "\nend\n");
    await until("the end is told", () => lines.at(-1) === "end");
    assert.equal(lines[0], "c\ufffd");
    assert.equal(lines.slice(1, -1).join(""), "y".repeat(8 * MIB));
    assert((lines.slice(1).sort((x, y) => y.length - x.length)[0]?.length ?? 0) <= 128 * 1024);
  });

  it("are cut with nothing lost while a writer goes on slowly, however large the copy is", async (t) => {
    const output = new FileOutput(directory, 64 * MIB);
    writeFileSync(path(), `${"x".repeat(99)}\n`.repeat(0.33 * MIB));
    const script = `const {writeSync} = require("node:fs"); const zero = new Int32Array(new SharedArrayBuffer(4));
      for (let n = 0; ; n++) { writeSync(1, "line " + n + "\\n"); Atomics.wait(zero, 0, 0, 1); }`;
    const child = start(output, script);
    await until("it writes", () => statSync(path()).size > 0.33 * MIB * 100 + 100);
    const begin = performance.now();
    await output.trim();
    t.diagnostic(`${Math.round(size() / MIB)} MiB were set aside in ${Math.round(performance.now() - begin)} ms`);
    await until("it writes on", () => statSync(path()).size > 1_000);
    child.kill("SIGKILL");
    await once(child, "exit");
    const both = readFileSync(`${path()}.1`, "utf8") + readFileSync(path(), "utf8");
    const lines = both.split("\n").filter((line) => line.startsWith("line"));
    assert(size() < 64 * MIB);
    // One may be written between the copy's last look and the cut.
    const missing = numbered(0, Number(lines.at(-1)?.slice(5))).filter((line) => !lines.includes(line));
    assert(missing.length <= 1, `lost: ${missing}`);
  });

  it("are within their bound, but for what was written since the last trim, while a worker writes as fast as it can", async (t) => {
    const maxBytes = 32 * MIB;
    const output = new FileOutput(directory, maxBytes);
    const script = `const {writeSync} = require("node:fs"); const chunk = Buffer.from(("x".repeat(127) + "\\n").repeat(512));
      const count = require("node:fs").openSync(${JSON.stringify(path("written"))}, "w");
      const end = performance.now() + 3000; let done = 0;
      while (performance.now() < end && done < 600e6) {
        done += writeSync(1, chunk);
        writeSync(count, String(done), 0);
      }`;
    const written = () => (existsSync(path("written")) ? Number(readFileSync(path("written"), "utf8")) : 0);
    let told = 0;
    let torn = 0;
    const gone = new AbortController();
    const reading = (async () => {
      for await (const { line } of output.read(ALL, gone.signal)) {
        told++;
        if (line !== "x".repeat(127)) torn++;
      }
    })();
    undo.push(async () => {
      gone.abort();
      await reading;
    });
    const begin = performance.now();
    const child = start(output, script);
    /** What had been written when the last trim that is over began. */
    let trimmed = 0;
    const trim = async () => {
      const before = written();
      await output.trim();
      trimmed = before;
    };
    const trimming = setInterval(() => void trim(), 1_000);
    undo.push(() => clearInterval(trimming));
    const beyond: string[] = [];
    let largest = 0;
    let latest = performance.now();
    let longestTurn = 0;
    await until(
      "it has written",
      () => {
        longestTurn = Math.max(longestTurn, performance.now() - latest);
        latest = performance.now();
        const now = size();
        largest = Math.max(largest, now);
        // However late a busy machine trims: what came since, and the chunk that is not counted yet.
        const most = maxBytes + written() - trimmed + 64 * 1024;
        if (now > most) beyond.push(`${now} bytes, where ${most} may be`);
        return child.exitCode !== null;
      },
      { everyMs: 5 },
    );
    assert.equal(child.exitCode, 0);
    assert.deepEqual(beyond, []);
    const seconds = (performance.now() - begin) / 1_000;
    const rate = written() / seconds;
    t.diagnostic(`${Math.round(rate / MIB)} MiB/s; largest ${Math.round(largest / MIB)} MiB; ${told} lines told`);
    t.diagnostic(`longest turn of the event loop: ${Math.round(longestTurn)} ms`);
    assert(told > 0);
    assert.equal(torn, 0, "lines are left out whole");
    await output.trim();
    assert(size() <= maxBytes);
  });

  it("are cut on a full disk, although there is no room for a copy, and the writer goes on", async () => {
    const output = await onSmallDisk("size=8m");
    // While the disk is full, it loses its lines.
    const script = `const { writeSync } = require("node:fs");
      setInterval(() => { try { writeSync(1, "x".repeat(500) + "\\n"); } catch {} }, 1);`;
    const child = start(output.output, script);
    const file = join(output.place, "a-0.log");
    const filler = openSync(join(output.place, "filler"), "w");
    undo.push(() => closeSync(filler));
    writeFileSync(file, "y\n".repeat(1.5 * MIB), { flag: "a" });
    assert.throws(() => {
      for (;;) writeSync(filler, Buffer.alloc(MIB));
    }, /ENOSPC/);
    await assert.rejects(output.output.trim(), /ENOSPC/);
    assert(statSync(file).size < MIB, "it was cut");
    const before = statSync(file).size;
    await until("the writer goes on", () => statSync(file).size > before + 1_000);
    assert.equal(child.exitCode, null);
    await output.output.trim();
  });

  it("of all workers are cut on a full disk, not only the first one's", async () => {
    const { output, place } = await onSmallDisk("size=12m");
    const files = [0, 1, 2].map((worker) => join(place, `a-${worker}.log`));
    for (const file of files) writeFileSync(file, "y\n".repeat(1.5 * MIB));
    // No name is free for a copy.
    for (const file of files) mkdirSync(`${file}.1`);
    await assert.rejects(output.trim());
    assert.deepEqual(
      files.map((file) => statSync(file).size),
      [0, 0, 0],
    );
  });

  it("are looked at by one only at a time: a cut is not done twice", async () => {
    const output = new FileOutput(directory, 8 * MIB);
    writeFileSync(path(), text(numbered(0, 500_000)));
    await Promise.all([output.trim(), output.trim(), output.trim()]);
    const older = readFileSync(`${path()}.1`, "utf8").split("\n");
    assert(older.length > 100_000);
    assert.equal(older.at(-2), "line 499999");
    assert.deepEqual(readdirSync(directory).sort(), ["a-0.log", "a-0.log.1"]);
  });

  async function onSmallDisk(options: string): Promise<{ output: FileOutput; place: string }> {
    const place = path("disk");
    const unmount = await mountTmpfs(place, options);
    undo.push(() => until("nobody uses the file system", () => unmount().then(() => true)));
    return { output: new FileOutput(place, 4 * MIB), place };
  }
});
