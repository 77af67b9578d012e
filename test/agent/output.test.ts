import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FileOutput } from "../../agent/output/files.ts";
import { lastWords } from "../../agent/output/last-words.ts";
import { until } from "../support/until.ts";

describe("what workers write", () => {
  let directory: string;
  const undo: (() => unknown)[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-output-"));
  });
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
    rmSync(directory, { recursive: true });
  });

  it("is kept within its bound while the writer writes on to the same descriptor", async () => {
    const path = join(directory, "a-0.log");
    const fd = openSync(path, "a");
    const script = `let n = 0; setInterval(() => { for (let i = 0; i < 20; i++) console.log(n++ + " " + "x".repeat(200)); }, 1)`;
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", fd, fd] });
    closeSync(fd);
    undo.push(async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    const maxBytes = 200_000;
    const output = new FileOutput(directory, maxBytes);
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

  it("is left alone within its bound, and where it is not a worker's", async () => {
    writeFileSync(join(directory, "a-0.log"), "short");
    writeFileSync(join(directory, "notes.txt"), "x".repeat(10_000));
    await new FileOutput(directory, 10_000).trim();
    assert.equal(readFileSync(join(directory, "a-0.log"), "utf8"), "short");
    assert.equal(statSync(join(directory, "notes.txt")).size, 10_000);
  });

  it("is told in an error by its last lines, without the frames of a stack", async () => {
    const output = new FileOutput(directory, 10_000);
    const words = (lines?: number) => lastWords(output, { slot: "a", version: "1", worker: 0 }, undefined, lines);
    const path = join(directory, "a-0.log");
    const trace = [
      "Error: listen EADDRINUSE: address already in use 127.0.0.1:8000",
      "    at Server.setupListenHandle [as _listen2] (node:net:1908:16)",
      "Emitted 'error' event on Server instance at:",
      "    at emitErrorNT (node:net:1887:8) {",
      "  code: 'EADDRINUSE',",
      "}",
      "",
      "Node.js v20.20.2",
    ];
    writeFileSync(path, `${"an old line\n".repeat(50)}${trace.join("\n")}\n`);
    const said = await words(4);
    assert.match(said, /^Error: listen EADDRINUSE.* \| Emitted 'error'.* \| code: 'EADDRINUSE', \| Node.js v20.20.2$/);
    writeFileSync(path, `${"y".repeat(10_000)}`);
    assert.equal(await words(), "y".repeat(600));
    writeFileSync(path, "");
    assert.equal(await words(), "");
    rmSync(path);
    assert.equal(await words(), "");
  });
});
