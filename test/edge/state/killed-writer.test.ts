import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { writeDurably } from "../../../daemon/durable-file.ts";
import { ensureTableFiles, writeTableFiles } from "../../../edge/proxies/haproxy/files.ts";
import { until } from "../../support/until.ts";

const ROUNDS = 8;

describe("files that an edge and its proxy start from, whose writer is killed", () => {
  let directory: string;
  let writer: ChildProcess | null = null;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-edge-files-"));
  });
  afterEach(async () => {
    await end();
    rmSync(directory, { recursive: true });
  });

  /** A process of its own that writes again and again, with a digit that changes each time as `n`. */
  const startWriter = (module: string, write: string) => {
    const url = new URL(`../../../${module}.js`, import.meta.url).href;
    const text = `const edge = await import(${JSON.stringify(url)});
      const directory = ${JSON.stringify(directory)};
      for (let n = 0; ; n = (n + 1) % 10) await edge.${write};`;
    writer = spawn(process.execPath, ["--input-type=module", "-e", text], { stdio: ["ignore", "ignore", "inherit"] });
  };
  const end = async () => {
    if (writer === null || writer.exitCode !== null || writer.signalCode !== null) return;
    writer.kill("SIGKILL");
    await once(writer, "exit");
  };
  const untilWritten = async (round: number, version: () => string | number) => {
    const before = version();
    await until("it writes", () => version() !== before, { everyMs: 1 + round });
  };

  it("hold either the old content or the new one, complete", async () => {
    const path = join(directory, "file");
    await writeDurably(path, "0".repeat(300_000));
    for (let round = 0; round < ROUNDS; round++) {
      startWriter("daemon/durable-file", 'writeDurably(directory + "/file", String(n).repeat(300_000))');
      await untilWritten(round, () => statSync(path).ino);
      await end();
      const content = readFileSync(path, "utf8");
      assert.equal(content, (content[0] as string).repeat(300_000));
    }
    await writeDurably(path, "the end");
    assert.equal(readFileSync(path, "utf8"), "the end");
    assert.deepEqual(readdirSync(directory), ["file"], "what a killed writer left behind does not stay for ever");
  });

  it("are replaced together if there are two of them", async () => {
    ensureTableFiles(directory, "web");
    const read = (name: string) => readFileSync(join(directory, "current", name), "utf8");
    assert.deepEqual([read("routes.map"), read("servers.state")], ["", "1\n"]);
    for (let round = 0; round < ROUNDS; round++) {
      const files = "{ routes: String(n).repeat(100_000), state: String(n).repeat(300_000) }";
      startWriter("edge/proxies/haproxy/files", `writeTableFiles(directory, ${files})`);
      await untilWritten(round, () => readlinkSync(join(directory, "current")));
      await end();
      const [routes, state] = [read("routes.map"), read("servers.state")];
      assert.equal(routes, (routes[0] as string).repeat(100_000));
      assert.equal(state, (routes[0] as string).repeat(300_000));
    }
    await writeTableFiles(directory, { routes: "the end", state: "of it" });
    assert.deepEqual([read("routes.map"), read("servers.state")], ["the end", "of it"]);
    assert.equal(readdirSync(directory).length, 2, "the link, and the directory that it leads to");
    ensureTableFiles(directory, "web");
    assert.equal(read("routes.map"), "the end", "what is there stays");
  });

  it("stay as they were if a write fails, and nothing is left beside them", async () => {
    await writeDurably(join(directory, "file"), "before");
    await assert.rejects(writeDurably(join(directory, "nowhere", "file"), "x"), { code: "ENOENT" });
    await assert.rejects(writeTableFiles(join(directory, "file"), { routes: "", state: "" }), { code: "EEXIST" });
    assert.deepEqual(readdirSync(directory), ["file"]);
    assert(!existsSync(join(directory, "file.tmp")));
  });
});
