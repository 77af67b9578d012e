import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  existsSync,
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
import { fileURLToPath } from "node:url";
import { canPunchHoles } from "../../../agent/os/holes.ts";
import { FileOutput } from "../../../agent/output/files.ts";
import { until } from "../../support/until.ts";
import { mountTmpfs } from "../releases/support/tmpfs.ts";
import { ALL, end, Fixture, MIB, numbered, text, told, writer } from "./support/fixture.ts";
import { flood } from "./support/flood.ts";

const TIB = 1024 ** 4;
const TRIM = fileURLToPath(new URL("support/trim.js", import.meta.url));
const PATIENT = { timeoutMs: 60_000 };

const tmpfs = (options: string) => (path: string) => mountTmpfs(path, options);
const places = new Map<string, () => Promise<Fixture>>([["a tmpfs", () => Fixture.open(tmpfs("size=1g"))]]);
if (await diskHasHoles()) places.set("the machine's disk", () => Fixture.open());

async function diskHasHoles(): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), "slotd-output-"));
  const fd = openSync(join(directory, "file"), "w");
  try {
    return await canPunchHoles(fd, TIB);
  } finally {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  }
}

/** What a file holds behind its hole. */
function kept(path: string): Buffer {
  const content = readFileSync(path);
  return content.subarray(content.findIndex((byte) => byte !== 0));
}

/** Without a comparison of whole arrays, whose report would take minutes. */
function assertConsecutive(lines: string[], first = Number(lines[0]?.slice(5))): void {
  const wrong = lines.findIndex((line, i) => line !== `line ${first + i}`);
  assert.equal(
    wrong,
    -1,
    `${lines
      .slice(Math.max(0, wrong - 1), wrong + 2)
      .join(", ")
      .slice(0, 200)} at ${wrong}`,
  );
}

for (const [place, open] of places)
  describe(`files of workers' output on ${place}`, () => {
    let fixture: Fixture;
    beforeEach(async () => {
      fixture = await open();
    });
    afterEach(() => fixture.close());

    it("keep the newer half of their bound, from a line's start on, and their size", async () => {
      const output = new FileOutput(fixture.directory, 256 * 1024);
      const path = fixture.path();
      const { fd, start } = output.open(writer());
      closeSync(fd);
      for (let next = 0; next < 100_000; next += 10_000) {
        appendFileSync(path, text(numbered(next, next + 10_000)));
        const { size } = statSync(path);
        await output.trim();
        assert.equal(statSync(path).size, size);
        assert(fixture.allocated() <= 256 * 1024, `${fixture.allocated()} bytes`);
        const lines = kept(path).toString().trimEnd().split("\n");
        assertConsecutive(lines);
        assert.equal(lines.at(-1), `line ${next + 9_999}`);
        if (next > 0) assert(kept(path).length > 127 * 1024);
        assert.deepEqual(await told(output, 1e6), lines);
      }
      assert.deepEqual(await output.lastLines(writer(), start, 3), numbered(99_997, 100_000));
      assert.deepEqual(readdirSync(fixture.directory), ["a-0.log"]);
    });

    it("are read across their holes by the next agent", async () => {
      const before = new FileOutput(fixture.directory, 256 * 1024);
      writeFileSync(fixture.path(), text(numbered(0, 50_000)));
      await before.trim();
      const lines = await told(before, 1e6);
      assert(lines.length > 5_000 && lines.length < 20_000);
      assertConsecutive(lines);
      assert.deepEqual(await told(new FileOutput(fixture.directory, 256 * 1024), 1e6), lines);
      const output = new FileOutput(fixture.directory, 256 * 1024);
      const seen = fixture.follow(output, 1e6);
      await until("the old ones are told", () => seen.length === lines.length);
      appendFileSync(fixture.path(), text(numbered(50_000, 90_000)));
      await until("the new ones are told", () => seen.at(-1) === "line 89999");
      await output.trim();
      appendFileSync(fixture.path(), text(numbered(90_000, 90_010)));
      await until("those after the hole are told", () => seen.at(-1) === "line 90009");
      assert.deepEqual(seen, [...lines, ...numbered(50_000, 90_010)]);
      assertConsecutive(await told(new FileOutput(fixture.directory, 256 * 1024), 1e6));
    });

    it("lose no line for a follower that keeps up, while several processes write at full speed", async (t) => {
      const maxBytes = 4 * MIB;
      const output = new FileOutput(fixture.directory, maxBytes);
      const [processes, rounds, burst] = [3, 20, 4_000];
      const script = (name: number) => `const {writeSync} = require("node:fs"); let next = 0;
        process.stdin.on("data", (asked) => { for (let left = asked.length * ${burst}; left > 0; left--)
          writeSync(1, "${name} " + String(next++).padStart(40, "0") + "\\n"); });`;
      const writers = Array.from({ length: processes }, (_, i) => fixture.start(output, script(i), "pipe"));
      let count = 0;
      const next = writers.map(() => 0);
      const wrong: string[] = [];
      fixture.follow(output, 0, (line) => {
        count++;
        const [name, number] = line.split(" ").map(Number) as [number, number];
        if (number !== next[name] && wrong.push(`${line}, not ${next[name]}`) > 20) assert.fail(wrong.join("; "));
        next[name] = number + 1;
      });
      let [holes, largest] = [0, 0];
      let done = false;
      const trimming = (async () => {
        while (!done) {
          const before = fixture.allocated();
          largest = Math.max(largest, before);
          await output.trim();
          if (fixture.allocated() < before - MIB / 2) holes++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      })();
      fixture.undo.push(() => {
        done = true;
        return trimming;
      });
      for (let round = 1; round <= rounds; round++) {
        for (const each of writers) each.stdin?.write("x");
        // The follower is at most two bursts behind.
        await until("the follower keeps up", () => count >= (round - 2) * processes * burst, PATIENT);
      }
      await until("all is told", () => count >= processes * rounds * burst || wrong.length > 0, PATIENT);
      assert.deepEqual(wrong, []);
      assert.deepEqual(next, Array(processes).fill(rounds * burst));
      t.diagnostic(`${holes} holes; largest ${(largest / MIB).toFixed(1)} MiB`);
      assert(holes >= 5, `${holes} holes`);
      assert(largest <= maxBytes, `${largest} bytes`);
      const last = await told(output, 10_000);
      for (const name of writers.keys()) {
        const own = last.filter((line) => line.startsWith(`${name} `)).map((line) => Number(line.split(" ")[1]));
        assertConsecutive(
          own.map((number) => `line ${number}`),
          rounds * burst - own.length,
        );
      }
    });

    it("are within their bound, but for what a second writes, while a worker writes as fast as it can", (t) =>
      flood(t, fixture, { maxBytes: 32 * MIB, size: () => fixture.allocated() }));

    it("lose nothing when agents are killed while they trim", async () => {
      const maxBytes = MIB / 2;
      const output = new FileOutput(fixture.directory, maxBytes);
      const path = fixture.path();
      const script = `const {writeSync} = require("node:fs"); const zero = new Int32Array(new SharedArrayBuffer(4));
        for (let n = 0; ; n += 200) { let text = ""; for (let i = n; i < n + 200; i++) text += "line " + i + "\\n";
          writeSync(1, text); Atomics.wait(zero, 0, 0, 1); }`;
      const worker = fixture.start(output, script);
      for (let round = 0; round < 5; round++) {
        const agent = spawn(process.execPath, [TRIM, fixture.directory, String(maxBytes)], { stdio: "inherit" });
        fixture.endsWithTest(agent);
        const from = statSync(path).size;
        await until("it has trimmed", () => statSync(path).size > from + maxBytes * 3, PATIENT);
        assert.equal(agent.exitCode, null);
        await end(agent);
        // The last line may be under way.
        assertConsecutive((await told(new FileOutput(fixture.directory, maxBytes), 100_000)).slice(0, -1));
      }
      assert.equal(worker.exitCode, null);
      await end(worker);
      await output.trim();
      assert(fixture.allocated() <= maxBytes);
      const lines = kept(path).toString().trimEnd().split("\n");
      assertConsecutive(lines);
      assert(lines.length > 10_000, `${lines.length} lines`);
    });

    it("show a slow reader whole lines only, from where the kept part begins", async () => {
      const output = new FileOutput(fixture.directory, 256 * 1024);
      writeFileSync(fixture.path(), text(numbered(0, 10)));
      const gone = new AbortController();
      const reading = output.read({ ...ALL, lines: 1 }, gone.signal);
      const next = async () => ((await reading.next()).value as { line: string }).line;
      const seen = [await next()];
      appendFileSync(fixture.path(), text(numbered(10, 20)));
      seen.push(await next());
      assert.deepEqual(seen, ["line 9", "line 10"]);
      // Larger than what a reader has in its memory.
      for (let next = 20; next < 100_020; next += 20_000) {
        appendFileSync(fixture.path(), text(numbered(next, next + 20_000)));
        await output.trim();
      }
      const head = kept(fixture.path()).toString().split("\n")[0];
      for await (const { line } of reading) if (seen.push(line) && line === "line 100019") gone.abort();
      const from = seen.indexOf(head as string);
      assert(from > 0);
      assertConsecutive(seen.slice(0, from));
      assertConsecutive(seen.slice(from));
    });

    it("without any line's end are bounded too", async () => {
      const output = new FileOutput(fixture.directory, 256 * 1024);
      for (let round = 0; round < 8; round++) {
        appendFileSync(fixture.path(), "é".repeat(64 * 1024));
        await output.trim();
        assert(fixture.allocated() <= 256 * 1024);
      }
      appendFileSync(fixture.path(), "\nend\n");
      const lines = await told(new FileOutput(fixture.directory, 256 * 1024), 10);
      assert.equal(lines.length, 2);
      assert.match(lines[0] as string, /^é+$/);
      assert.equal(lines[1], "end");
    });

    it("are read from their start where someone else truncates them after a hole", async () => {
      const output = new FileOutput(fixture.directory, 256 * 1024);
      writeFileSync(fixture.path(), text(numbered(0, 50_000)));
      const lines = fixture.follow(output, 1);
      await output.trim();
      await until("the last is told", () => lines.length === 1);
      truncateSync(fixture.path());
      await until("that is seen", () => {
        appendFileSync(fixture.path(), "new\n");
        return lines.at(-1) === "new";
      });
      const size = statSync(fixture.path()).size;
      assert.deepEqual(await told(output, 1e6), Array(size / 4).fill("new"));
    });

    it("of the previous version keep their older half until the newer one is full", async () => {
      const output = new FileOutput(fixture.directory, 256 * 1024);
      const older = `${fixture.path()}.1`;
      writeFileSync(older, text(numbered(0, 9_000)));
      writeFileSync(fixture.path(), text(numbered(9_000, 15_000)));
      await output.trim();
      assert.deepEqual(await told(output, 1e6), numbered(0, 15_000));
      appendFileSync(fixture.path(), text(numbered(15_000, 22_000)));
      await output.trim();
      assert.equal(existsSync(older), false);
      assert.deepEqual(await told(output, 1e6), numbered(9_000, 22_000));
    });

    it("lose their older half where the bound is lower by now", async () => {
      writeFileSync(`${fixture.path()}.1`, "x".repeat(256 * 1024));
      writeFileSync(fixture.path(), "one\n");
      await new FileOutput(fixture.directory, 512 * 1024).trim();
      assert.equal(existsSync(`${fixture.path()}.1`), true);
      await new FileOutput(fixture.directory, 128 * 1024).trim();
      assert.deepEqual(readdirSync(fixture.directory), ["a-0.log"]);
    });

    it("that grew without an agent are freed at once, with the event loop free", async (t) => {
      const fd = openSync(fixture.path(), "a");
      const chunk = Buffer.from(`${"x".repeat(1_023)}\n`.repeat(4 * 1_024));
      try {
        for (let written = 0; written < 768 * MIB; written += chunk.length) writeSync(fd, chunk);
        let latest = performance.now();
        let longestTurn = 0;
        const turns = setInterval(() => {
          longestTurn = Math.max(longestTurn, performance.now() - latest);
          latest = performance.now();
        }, 1);
        fixture.undo.push(() => clearInterval(turns));
        const begin = performance.now();
        await new FileOutput(fixture.directory, 32 * MIB).trim();
        const tookMs = performance.now() - begin;
        t.diagnostic(`freed in ${Math.round(tookMs)} ms; longest turn ${Math.round(longestTurn)} ms`);
        assert(fixture.allocated() <= 24 * MIB, `${fixture.allocated()} bytes`);
        assert(longestTurn < 1_000, `the event loop was held for ${longestTurn} ms`);
        writeSync(fd, "end\n");
      } finally {
        closeSync(fd);
      }
      const output = new FileOutput(fixture.directory, 32 * MIB);
      assert.deepEqual(await told(output, 2), ["x".repeat(1_023), "end"]);
    });
  });

describe("files of workers' output on a full disk", () => {
  it("are freed without a copy, with nothing lost of what had room", async () => {
    const fixture = await Fixture.open(tmpfs("size=8m"));
    try {
      const output = new FileOutput(fixture.directory, 4 * MIB);
      const filler = openSync(fixture.path("filler"), "w");
      fixture.undo.push(() => closeSync(filler));
      const lines = numbered(0, 350_000);
      writeFileSync(fixture.path(), text(lines));
      assert.throws(() => {
        for (;;) writeSync(filler, Buffer.alloc(MIB));
      }, /ENOSPC/);
      await output.trim();
      appendFileSync(fixture.path(), text(numbered(350_000, 400_000)));
      const found = await told(output, 1e6);
      assertConsecutive(found);
      assert.equal(found.at(-1), "line 399999");
      assert(found.length > 150_000, `${found.length} lines`);
    } finally {
      await fixture.close();
    }
  });
});
