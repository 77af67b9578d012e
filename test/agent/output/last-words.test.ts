import assert from "node:assert/strict";
import { closeSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FileOutput } from "../../../agent/output/files.ts";
import { lastWords } from "../../../agent/output/last-words.ts";

describe("what workers write", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-output-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("is told in an error by its last lines, without the frames of a stack", async () => {
    const output = new FileOutput(directory, 10_000);
    const writer = { slot: "a", version: "1", worker: 0 };
    const { fd, start } = output.open(writer);
    closeSync(fd);
    const words = (lines?: number) => lastWords(output, writer, start, undefined, lines);
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
    assert.equal(await lastWords(output, writer, null), "", "nothing is told where the start is not known");
    writeFileSync(path, `${"y".repeat(10_000)}`);
    assert.equal(await words(), "y".repeat(600));
    writeFileSync(path, "");
    assert.equal(await words(), "");
    rmSync(path);
    assert.equal(await words(), "");
  });
});
