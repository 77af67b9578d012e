import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { parseConfig } from "../../../agent/config/load.ts";
import { descriptors } from "../../../agent/os/process.ts";
import { sendUnixDatagram } from "../../../agent/os/unix-datagram.ts";
import { removeStaleNotifyFiles, WorkerNotify } from "../../../agent/workers/watch/worker-notify.ts";
import { until } from "../../support/until.ts";

const config = (tables: string) => parseConfig(`service = "web"\n[app]\ncommand = ["x"]\n${tables}`);
const NOTIFY = config('[readiness]\nby = "notify"');
const ALL = config('[readiness]\nby = "notify"\n[liveness]\npath = "/x"\n[watchdog]\ntimeout_ms = 5000');

describe("what a worker shows of itself", () => {
  let directory = "";
  const open: WorkerNotify[] = [];
  beforeEach(() => {
    directory = join(mkdtempSync(join(tmpdir(), "slotd-signs-")), "web.workers");
  });
  afterEach(() => {
    for (const signs of open.splice(0)) signs.close();
    rmSync(join(directory, ".."), { recursive: true });
  });

  const prepare = (from = NOTIFY, name = "a-0") => {
    const signs = WorkerNotify.prepare(from, directory, name, null, () => {});
    assert(signs);
    open.push(signs);
    return { signs, env: new Map(Object.entries(signs.variables)) };
  };
  const resume = (env: ReadonlyMap<string, string>, from = NOTIFY, name = "a-0") => {
    const signs = WorkerNotify.resume(from, directory, name, env, () => {});
    if (signs) open.push(signs);
    return signs;
  };
  const tell = (env: ReadonlyMap<string, string>, text: string) =>
    sendUnixDatagram(env.get("NOTIFY_SOCKET") as string, text);

  it("is nothing where nothing is asked of it", () => {
    assert.equal(
      WorkerNotify.prepare(config(""), directory, "a-0", null, () => {}),
      null,
    );
    assert(!existsSync(directory));
    assert.equal(resume(new Map([["NOTIFY_SOCKET", "/run/systemd/notify"]])), null);
  });

  it("leaves no file and no descriptor behind, also where only a part of it could be made", async () => {
    const sockets = () => [...descriptors(process.pid).values()].filter((what) => what.startsWith("socket:")).length;
    const before = sockets();
    prepare(ALL).signs.close();
    assert.deepEqual(readdirSync(directory), []);
    // `a-0-ffffff.live` is two bytes shorter than `a-0-ffffff.notify`, and 107 bytes are the most.
    for (const length of [80, 89, 90, 91, 92, 93, 94, 100]) {
      const long = join(directory, "x".repeat(length - directory.length - 1));
      assert.equal(long.length, length);
      const prepared = () => WorkerNotify.prepare(ALL, long, "a-0", null, () => {})?.close();
      if (length + "/a-0-ffffff.notify".length > 107) assert.throws(prepared, /bind failed: EINVAL/);
      else prepared();
      assert.deepEqual(readdirSync(long), []);
    }
    await until("the probes' own sockets are closed as well", () => sockets() === before);
  });

  it("is heard, line by line, until there is nothing more, however much was said", () => {
    const { signs, env } = prepare();
    for (const text of ["STATUS=a\nb=c", "X_SLOTD_REQUESTS=12", "X_SLOTD_REQUESTS=-1", "X_SLOTD_RECYCLE=1"])
      tell(env, text);
    assert.equal(signs.receiveAndJudge(), null);
    assert.deepEqual([signs.says, signs.requests, signs.wantsReplacement, signs.ready], ["a", 12, true, false]);
    tell(env, "STATUS=\nX_SLOTD_RECYCLE=0\nREADY=1");
    signs.receiveAndJudge();
    assert.deepEqual([signs.says, signs.wantsReplacement, signs.ready], [null, false, true]);
    tell(env, `STATUS=${"ü😀".repeat(300)}`);
    signs.receiveAndJudge();
    assert.equal(signs.says, "ü😀".repeat(100), "cut between characters");
  });

  it("is not believed to be elsewhere than where the agent put it", () => {
    const mine = join(directory, "..", "mine");
    mkdirSync(directory);
    writeFileSync(mine, "precious");
    const other = join(directory, "b-0-aaaaaa.notify");
    writeFileSync(other, "");
    const lies = [
      mine,
      other,
      "@abstract",
      "",
      `${directory}/../mine`,
      `${directory}/a-0-zzzzzz.notify`,
      "/a-0-aaaaaa.notify",
    ];
    for (const lie of lies)
      for (const variable of ["NOTIFY_SOCKET", "SLOTD_LIVENESS_SOCKET"])
        resume(new Map([[variable, lie]]), ALL)?.close();
    const { env } = prepare(ALL);
    resume(new Map([...env, ["SLOTD_LIVENESS_SOCKET", mine]]), ALL)?.close();
    assert.equal(statSync(mine).size, 8);
    assert(existsSync(other));
  });

  it("is known to have come up, or not, by the next agent", () => {
    const { signs, env } = prepare();
    signs.abandon();
    const second = resume(env);
    assert.equal(second?.ready, false);
    tell(env, "READY=1");
    assert.equal(second.receiveAndJudge(), null);
    assert.equal(second.ready, true);
    second.abandon();
    assert.equal(resume(env)?.ready, true);
  });

  it("is cleared away by the next agent where the worker has gone, and only then", () => {
    const lives = prepare(ALL);
    const gone = prepare(ALL);
    const elsewhere = prepare(ALL, "a-b-0");
    writeFileSync(join(directory, "a-0-note"), "");
    removeStaleNotifyFiles(directory, "a", [lives.env]);
    const there = ({ env }: typeof lives) => existsSync(env.get("NOTIFY_SOCKET") as string);
    assert.deepEqual([there(lives), there(gone), there(elsewhere)], [true, false, true]);
    assert.equal(readdirSync(directory).length, 7);
    removeStaleNotifyFiles(join(directory, "none"), "a", []);
  });

  it("comes by the usual program as well, which waits until the descriptor that it passes is closed", async () => {
    const { signs, env } = prepare();
    const variables = { PATH: process.env.PATH, NOTIFY_SOCKET: env.get("NOTIFY_SOCKET") };
    const sender = spawn("systemd-notify", ["--ready", "--status=up and about"], { env: variables, stdio: "ignore" });
    const ended = once(sender, "exit");
    await until("it has been heard", () => signs.receiveAndJudge() === null && signs.ready);
    await until("it has ended", () => signs.receiveAndJudge() === null && sender.exitCode !== null);
    assert.deepEqual(await ended, [0, null]);
    assert.equal(signs.says, "up and about");
  });
});
