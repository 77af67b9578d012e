import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FileOutput } from "../../../agent/output/files.ts";
import { until } from "../../support/until.ts";
import { Fixture, MIB, told, writer } from "./support/fixture.ts";

describe("files of workers' output", () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.open();
  });
  afterEach(() => fixture.close());

  it("are nobody else's to read, whatever the agent's umask is", () => {
    const umask = process.umask(0);
    fixture.undo.push(() => process.umask(umask));
    writeFileSync(fixture.path("a-1.log"), "", { mode: 0o666 });
    for (const worker of [0, 1]) {
      closeSync(new FileOutput(fixture.directory, 100_000).open(writer(worker)).fd);
      assert.equal(statSync(fixture.path(`a-${worker}.log`)).mode & 0o777, 0o640);
    }
  });

  describe("of a process that ended", () => {
    /** As a new process gets it. */
    const started = (output: FileOutput): string => {
      const { fd, start } = output.open(writer());
      closeSync(fd);
      return start;
    };

    it("hold its own lines after those of the processes before it, and these are not given", async () => {
      const output = new FileOutput(fixture.directory, 100_000);
      writeFileSync(fixture.path(), "of another\nof another, without an end");
      const start = started(output);
      assert.deepEqual(await output.lastLines(writer(), start, 10), []);
      appendFileSync(fixture.path(), "own\nown, too\n");
      assert.deepEqual(await output.lastLines(writer(), start, 10), ["own", "own, too"]);
      assert.deepEqual(await output.lastLines(writer(), start, 1), ["own, too"]);
      const next = new FileOutput(fixture.directory, 100_000);
      assert.deepEqual(await next.lastLines(writer(), start, 10), ["own", "own, too"], "the next agent knows as well");
    });

    it("are all its own after someone truncated the file, and none are in another file of that name", async () => {
      const output = new FileOutput(fixture.directory, 100_000);
      writeFileSync(fixture.path(), "of another, long enough\n");
      const start = started(output);
      writeFileSync(fixture.path(), "own\n");
      assert.deepEqual(await output.lastLines(writer(), start, 10), ["own"]);
      writeFileSync(fixture.path("next"), "of a file that was put there, longer than the first one\n");
      renameSync(fixture.path("next"), fixture.path());
      assert.deepEqual(await output.lastLines(writer(), start, 10), []);
    });

    it("are not given where its start was recorded by another kind of output", async () => {
      const output = new FileOutput(fixture.directory, 100_000);
      writeFileSync(fixture.path(), "of another\n");
      for (const start of ["", "b=00;m=1;t=1", "1:2", "x:0:00000000:0"])
        assert.deepEqual(await output.lastLines(writer(), start, 10), [], start);
    });
  });

  it("are followed where someone else cuts or removes them", async () => {
    const output = new FileOutput(fixture.directory, 100_000);
    writeFileSync(fixture.path(), "one\n");
    const lines = fixture.follow(output);
    await until("it is told", () => lines.length === 1);
    truncateSync(fixture.path());
    await until("that is seen", async () => {
      appendFileSync(fixture.path(), "2\n");
      return lines.at(-1) === "2";
    });
    rmSync(fixture.path());
    writeFileSync(fixture.path("a-2.log"), "of another\n");
    await until("the other's is told", () => lines.at(-1) === "of another");
    assert.equal(lines[0], "one");
  });

  it("tell a line that is not ended yet when it is, where they are followed", async () => {
    const output = new FileOutput(fixture.directory, 100_000);
    writeFileSync(fixture.path(), Buffer.from("one\nhalf é").subarray(0, -1));
    assert.deepEqual(await told(output, 5), ["one", "half \ufffd"]);
    const lines = fixture.follow(output);
    await until("the whole one is told", () => lines.length === 1);
    appendFileSync(fixture.path(), Buffer.concat([Buffer.from("é").subarray(1), Buffer.from("t\n\n")]));
    await until("the rest is told", () => lines.length === 3);
    assert.deepEqual(lines, ["one", "half ét", ""]);
  });

  it("tell bytes that are no text, and a line without an end in pieces", async () => {
    const output = new FileOutput(fixture.directory, 64 * MIB);
    const lines = fixture.follow(output);
    appendFileSync(fixture.path(), Buffer.concat([Buffer.from([0x63, 0xe9, 0x0a]), Buffer.alloc(8 * MIB, "y")]));
    await until("pieces are told", () => lines.reduce((sum, line) => sum + line.length, 0) > 7.9 * MIB);
    appendFileSync(fixture.path(), "\nend\n");
    await until("the end is told", () => lines.at(-1) === "end");
    assert.equal(lines[0], "c\ufffd");
    assert.equal(lines.slice(1, -1).join(""), "y".repeat(8 * MIB));
    assert((lines.slice(1).sort((x, y) => y.length - x.length)[0]?.length ?? 0) <= 128 * 1024);
  });

  it("are left alone within their bound, and where they are not a worker's", async () => {
    writeFileSync(fixture.path(), "short");
    writeFileSync(fixture.path("notes.txt"), "x".repeat(10_000));
    await new FileOutput(fixture.directory, 10_000).trim();
    assert.equal(readFileSync(fixture.path(), "utf8"), "short");
    assert.equal(statSync(fixture.path("notes.txt")).size, 10_000);
  });
});
