import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import {
  clearLeftovers,
  describeLeftovers,
  findLeftovers,
  RUN,
  settledLeftovers,
  type TestRun,
} from "../../../scripts/testing/leftovers.ts";
import { mountTmpfs } from "../../agent/releases/support/tmpfs.ts";
import { until } from "../../support/until.ts";

const LISTENS = `const server = require("node:net").createServer();
  server.listen(0, "127.0.0.1", () => console.log(server.address().port)); setInterval(() => {}, 1000);`;

describe("what a run of the tests leaves behind", () => {
  let run: TestRun;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    run = { id: randomBytes(4).toString("hex"), directory: mkdtempSync(join(tmpdir(), "slotd-run-")) };
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    rmSync(run.directory, { recursive: true, force: true });
  });

  const start = async (env: NodeJS.ProcessEnv, cwd = "/") => {
    const child = spawn(process.execPath, ["-e", LISTENS], { env, cwd, stdio: ["ignore", "pipe", "ignore"] });
    children.push(child);
    const port = Number(String((await once(child.stdout, "data"))[0]));
    return { child, pid: child.pid as number, port };
  };
  const unmount = (path: string) => void execFileSync("umount", [path]);

  it("is nothing where it left nothing", async () => {
    await start({ [RUN]: "another" });
    assert.deepEqual(describeLeftovers(findLeftovers(run)), []);
  });

  it("is a process by its environment, with the port that it listens on", async () => {
    const { pid, port } = await start({ [RUN]: run.id });
    const [line, ...more] = describeLeftovers(findLeftovers(run));
    assert.match(line ?? "", new RegExp(`^process ${pid}: .*, listens on ${port}$`));
    assert.deepEqual(more, []);
  });

  it("is a process with another environment by its working directory, also where that was removed", async () => {
    const cwd = join(run.directory, "release");
    mkdirSync(cwd);
    const { pid } = await start({}, cwd);
    rmSync(cwd, { recursive: true });
    assert.deepEqual(
      findLeftovers(run).processes.map((one) => one.pid),
      [pid],
    );
  });

  it("is ended, unmounted and removed, and nothing else is", async () => {
    const other = await start({ [RUN]: "another" });
    const { child } = await start({ [RUN]: run.id });
    const place = join(run.directory, "disk");
    await mountTmpfs(place, "size=1m");
    writeFileSync(join(place, "file"), "");
    assert.deepEqual(
      describeLeftovers(findLeftovers(run)).map((line) => line.replace(/^process.*/, "process")),
      ["process", `mount ${place}`, `path ${place}`],
    );
    assert.deepEqual(describeLeftovers(await clearLeftovers(run, unmount)), []);
    await until("it has ended", () => child.signalCode);
    assert(!existsSync(place));
    assert.equal(other.child.exitCode ?? other.child.signalCode, null);
  });

  it("is not what ends by itself in a moment", async () => {
    const { child } = await start({ [RUN]: run.id });
    setTimeout(() => child.kill("SIGKILL"), 200);
    assert.deepEqual(describeLeftovers(await settledLeftovers(run)), []);
  });
});
