import assert from "node:assert/strict";
import { once } from "node:events";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FileOutput } from "../../../agent/output/files.ts";
import { until } from "../../support/until.ts";
import { mountRamfs, mountTmpfs } from "../releases/support/tmpfs.ts";
import { Fixture, MIB, numbered, text, told, writer } from "./support/fixture.ts";
import { flood } from "./support/flood.ts";

describe("files of workers' output, where the file system has no holes,", () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.open(mountRamfs);
  });
  afterEach(() => fixture.close());

  it("are read over their cut: the first of the last lines are in the older half", async () => {
    const output = new FileOutput(fixture.directory, 200_000);
    writeFileSync(fixture.path(), text(numbered(0, 11_998)));
    const { fd, start } = output.open(writer());
    closeSync(fd);
    appendFileSync(fixture.path(), text(numbered(11_998, 12_000)));
    await output.trim();
    assert.equal(statSync(fixture.path()).size, 0);
    assert.deepEqual(
      await output.lastLines(writer(), start, 3),
      numbered(11_998, 12_000),
      "its own part of both halves",
    );
    appendFileSync(fixture.path(), text(numbered(12_000, 12_002)));
    assert.deepEqual(await told(output, 5), numbered(11_997, 12_002));
    assert.deepEqual(await told(output, 2), numbered(12_000, 12_002));
    assert.deepEqual(await told(output, 0), []);
  });

  it("are followed over cuts: each line is told once, also those that were cut off before", async () => {
    const output = new FileOutput(fixture.directory, 100_000);
    writeFileSync(fixture.path(), text(numbered(0, 10)));
    const lines = fixture.follow(output, 5);
    await until("the old ones are told", () => lines.length === 5);
    let next = 10;
    for (let round = 0; round < 5; round++) {
      appendFileSync(fixture.path(), text(numbered(next, next + 3_000)));
      await until("the first half is told", () => lines.at(-1) === `line ${next + 2_999}`);
      appendFileSync(fixture.path(), text(numbered(next + 3_000, next + 6_500)));
      next += 6_500;
      // In the middle of a line, which goes on after the cut.
      appendFileSync(fixture.path(), `line ${String(next).slice(0, 2)}`);
      assert(statSync(fixture.path()).size > 50_000);
      await output.trim();
      appendFileSync(fixture.path(), `${String(next).slice(2)}\n${text(numbered(next + 1, next + 11))}`);
      next += 11;
      await until("all is told", () => lines.at(-1) === `line ${next - 1}`);
    }
    const first = Number(lines[5]?.split(" ")[1]);
    assert.equal(first, 10);
    assert.deepEqual(lines, numbered(5, next));
  });

  it("are followed from their start where they grow back beyond what was read between two looks", async () => {
    const output = new FileOutput(fixture.directory, 100_000);
    writeFileSync(fixture.path(), text(numbered(0, 1_000)));
    const lines = fixture.follow(output, 1);
    await until("the old one is told", () => lines.length === 1);
    for (let round = 0; round < 3; round++) {
      writeFileSync(fixture.path(), "x".repeat(60_000), { flag: "a" });
      await output.trim();
    }
    appendFileSync(fixture.path(), `\n${text(numbered(0, 3_000))}`);
    await until("all is told", () => lines.at(-1) === "line 2999");
    assert.deepEqual(lines.slice(-3_000), numbered(0, 3_000));
  });

  it("are cut with nothing lost while a writer goes on slowly, however large the copy is", async (t) => {
    const output = new FileOutput(fixture.directory, 64 * MIB);
    writeFileSync(fixture.path(), `${"x".repeat(99)}\n`.repeat(0.33 * MIB));
    const script = `const {writeSync} = require("node:fs"); const zero = new Int32Array(new SharedArrayBuffer(4));
      for (let n = 0; ; n++) { writeSync(1, "line " + n + "\\n"); Atomics.wait(zero, 0, 0, 1); }`;
    const child = fixture.start(output, script);
    await until("it writes", () => statSync(fixture.path()).size > 0.33 * MIB * 100 + 100);
    const begin = performance.now();
    await output.trim();
    t.diagnostic(
      `${Math.round(fixture.size() / MIB)} MiB were set aside in ${Math.round(performance.now() - begin)} ms`,
    );
    await until("it writes on", () => statSync(fixture.path()).size > 1_000);
    child.kill("SIGKILL");
    await once(child, "exit");
    const both = readFileSync(`${fixture.path()}.1`, "utf8") + readFileSync(fixture.path(), "utf8");
    const lines = both.split("\n").filter((line) => line.startsWith("line"));
    assert(fixture.size() < 64 * MIB);
    // One may be written between the copy's last look and the cut.
    const missing = numbered(0, Number(lines.at(-1)?.slice(5))).filter((line) => !lines.includes(line));
    assert(missing.length <= 1, `lost: ${missing}`);
  });

  it("are looked at by one only at a time: a cut is not done twice", async () => {
    const output = new FileOutput(fixture.directory, 8 * MIB);
    writeFileSync(fixture.path(), text(numbered(0, 500_000)));
    await Promise.all([output.trim(), output.trim(), output.trim()]);
    const older = readFileSync(`${fixture.path()}.1`, "utf8").split("\n");
    assert(older.length > 100_000);
    assert.equal(older.at(-2), "line 499999");
    assert.deepEqual(readdirSync(fixture.directory).sort(), ["a-0.log", "a-0.log.1"]);
  });

  it("say so once, and are cut", async () => {
    let said = 0;
    const output = new FileOutput(fixture.directory, 200_000, () => said++);
    await output.trim();
    assert.equal(said, 0, "nothing was cut");
    for (let round = 0; round < 2; round++)
      for (const name of ["a-0.log", "a-1.log"]) {
        writeFileSync(fixture.path(name), "x\n".repeat(75_000));
        await output.trim();
        assert.equal(statSync(fixture.path(name)).size, 0);
      }
    assert.equal(said, 1);
  });

  it("are within their bound, but for what a second writes, while a worker writes as fast as it can", (t) =>
    flood(t, fixture, { maxBytes: 32 * MIB, size: () => fixture.size() }));

  it("are kept within their bound while the writer writes on to the same descriptor", async () => {
    const path = fixture.path();
    const maxBytes = 200_000;
    const output = new FileOutput(fixture.directory, maxBytes);
    const script = `let n = 0; setInterval(() => { for (let i = 0; i < 20; i++) console.log(n++ + " " + "x".repeat(200)); }, 1)`;
    fixture.start(output, script);
    const size = () => statSync(path).size;
    for (let round = 0; round < 3; round++) {
      await until("half of the bound was written", () => size() > maxBytes / 2);
      await output.trim();
      assert(size() < maxBytes / 2, "it was cut");
    }
    await until("the writer goes on", () => size() > 1_000);
    const lines = readFileSync(path, "utf8").split("\n").slice(1, -1);
    const numbers = lines.map((line) => Number.parseInt(line, 10));
    assert(!readFileSync(path).includes(0), "no hole where the cut off part was");
    for (let i = 1; i < numbers.length; i++) assert.equal(numbers[i], (numbers[i - 1] as number) + 1);
    const older = readFileSync(`${path}.1`, "utf8").split("\n");
    assert((numbers[0] as number) > Number.parseInt(older[0] as string, 10), "the older half is kept aside");
  });
});

describe("files of workers' output that holes made a TiB large", () => {
  const TIB = 1024 ** 4;
  let fixture: Fixture;
  afterEach(() => fixture.close());

  async function onSmallDisk(options: string, files = 1): Promise<{ output: FileOutput; paths: string[] }> {
    fixture = await Fixture.open((path) => mountTmpfs(path, options));
    const paths = Array.from({ length: files }, (_, worker) => fixture.path(`a-${worker}.log`));
    for (const path of paths) {
      writeFileSync(path, "");
      truncateSync(path, TIB);
    }
    return { output: new FileOutput(fixture.directory, 4 * MIB), paths };
  }

  it("are cut once, and read over the cut", async () => {
    const { output } = await onSmallDisk("size=16m");
    appendFileSync(fixture.path(), text(numbered(0, 1_000)));
    const lines = fixture.follow(output, 5);
    await until("the old ones are told", () => lines.length === 5);
    appendFileSync(fixture.path(), text(numbered(1_000, 2_000)));
    await output.trim();
    assert.equal(statSync(fixture.path()).size, 0);
    appendFileSync(fixture.path(), text(numbered(2_000, 3_000)));
    await until("all is told", () => lines.at(-1) === "line 2999");
    assert.deepEqual(lines, numbered(995, 3_000));
    assert.deepEqual(await told(output, 10_000), numbered(0, 3_000));
    await output.trim();
    assert(statSync(fixture.path()).size > 0, "once only");
  });

  it("are cut on a full disk, although there is no room for a copy, and the writer goes on", async () => {
    const { output, paths } = await onSmallDisk("size=8m");
    const file = paths[0] as string;
    // It must not end while the disk is full.
    const script = `const {writeSync} = require("node:fs"); setInterval(() => {
      try { writeSync(1, "x".repeat(500) + "\\n"); } catch (error) { if (error.code !== "ENOSPC") throw error; } }, 1)`;
    const child = fixture.start(output, script);
    const filler = openSync(fixture.path("filler"), "w");
    fixture.undo.push(() => closeSync(filler));
    writeFileSync(file, "y\n".repeat(1.5 * MIB), { flag: "a" });
    assert.throws(() => {
      for (;;) writeSync(filler, Buffer.alloc(MIB));
    }, /ENOSPC/);
    await assert.rejects(output.trim(), /ENOSPC/);
    assert(statSync(file).size < MIB, "it was cut");
    const before = statSync(file).size;
    await until("the writer goes on", () => statSync(file).size > before + 1_000);
    assert.equal(child.exitCode, null);
    await output.trim();
  });

  it("of all workers are cut on a full disk, not only the first one's", async () => {
    const { output, paths } = await onSmallDisk("size=12m", 3);
    for (const path of paths) writeFileSync(path, "y\n".repeat(1.5 * MIB), { flag: "a" });
    // No name is free for a copy.
    for (const path of paths) mkdirSync(`${path}.1`);
    await assert.rejects(output.trim());
    assert.deepEqual(
      paths.map((path) => statSync(path).size),
      [0, 0, 0],
    );
  });
});
