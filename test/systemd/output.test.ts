import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { HostStatus, SlotStatus, WorkerStatus } from "../../protocol/host-status.ts";
import type { Latency } from "../agent/output/support/latency.ts";
import { fixtureApps, makeRelease, repository } from "../support/release.ts";
import { bootSystemd, type SystemdHost } from "../support/systemd/host.ts";
import { buildPackage } from "../support/systemd/package.ts";
import { PACKAGED_NODE, packagedAgent, webConfiguration } from "../support/systemd/slotd.ts";
import { until } from "../support/until.ts";

/** What workers write, under a real systemd with its journal: each test goes on where the one before it ended. */

const UNIT = "slotd@web";
const CONFIGURATION = webConfiguration({ command: "writer.mjs", workers: 2, more: ", restart_backoff_min_ms = 50" });
/** Shorter than the unit's own, but longer than the agent's beat of 5 s. */
const WATCHDOG = "[Service]\nWatchdogSec=8\nLogRateLimitIntervalSec=0\n";
/** Small, and without the bound on a service's lines: what is bounded here is the disk. */
const JOURNALD = "[Journal]\nSystemMaxUse=64M\nRateLimitIntervalSec=0\n";
const MIB = 1024 ** 2;
/** What takes longer is held up; shorter than the watchdog allows. */
const HUNG_MS = 5_000;
const PORTS: Record<string, number> = { a: 8000, b: 8001 };

interface Line {
  slot: string;
  worker: number;
  line: string;
}

/** What the app says of itself. */
interface Said {
  pid: number;
  bytes: number;
  errors: number;
  running: number;
}

let host: SystemdHost;
const { json, agent, slots, pids, install, ...packaged } = packagedAgent(() => host, UNIT);
const untilServing = (before: string) => packaged.untilServing(before, 1);

describe("the output of workers under systemd", () => {
  before(async () => {
    const deb = await buildPackage();
    // The measuring program is this repository's, and is run where it lies.
    host = await bootSystemd({ nspawn: [`--bind-ro=${repository}`] });
    host.write("/etc/systemd/journald.conf.d/test.conf", JOURNALD);
    await host.restartUnit("systemd-journald");
    host.copyIn(deb, "/srv/slotd.deb");
    await host.run("dpkg -i /srv/slotd.deb");
    await host.startNats();
    host.write("/etc/slotd/web.toml", CONFIGURATION);
    host.write("/etc/systemd/system/slotd@.service.d/test.conf", WATCHDOG);
    await host.run(`systemctl daemon-reload && systemctl enable --now ${UNIT}`);
    for (const [version, slot] of [
      ["1", "a"],
      ["2", "b"],
    ] as const) {
      await publish(version);
      await install(version, slot);
    }
  });

  after(() => host?.close());

  async function publish(version: string, more: Record<string, string> = {}): Promise<void> {
    const app = readFileSync(join(fixtureApps, "writer.mjs"), "utf8");
    const { url } = await makeRelease(host.share, version, { files: { "writer.mjs": app, ...more } });
    await host.run(["slotd-controller", "publish", "web", version, `/srv/share/${basename(url)}`]);
  }

  /** Asks the app in a slot. */
  async function ask(slot: string, path: string, body: string | Buffer = ""): Promise<Said> {
    const url = `http://127.0.0.1:${PORTS[slot]}${path}`;
    const input = Buffer.from(body as string).toString("base64");
    const { stdout } = await host.run(`base64 -d | curl -sS --max-time 10 --data-binary @- '${url}'`, { input });
    return JSON.parse(stdout) as Said;
  }

  /** Until the app has written all that it was told to; it was never refused. */
  const untilWritten = (slot: string) =>
    until(`the app in ${slot} has written all`, async () => {
      const said = await ask(slot, "/");
      assert.equal(said.errors, 0, "no write failed");
      return said.running === 0 && said;
    });

  async function logs(options: string): Promise<string[]> {
    const { stdout } = await host.run(`slotctl logs ${options} --json`);
    return parse(stdout.split("\n")).map(({ line }) => line);
  }

  const parse = (lines: string[]) => lines.filter(Boolean).map((line) => JSON.parse(line) as Line);

  /** The lines of an identifier that the journal has and that begin so, when all that was written is there. */
  async function inJournal(identifier: string, begin: string): Promise<string[]> {
    const { stdout } = await host.run(`journalctl --sync; journalctl -q -o cat -u ${UNIT} -t ${identifier}`);
    return stdout.split("\n").filter((line) => line.startsWith(begin));
  }

  const numbered = (name: string, from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `${name} ${from + i}`);

  /** `slotctl logs -f` from now on, until the test ends. */
  function follow(t: TestContext, options = ""): { lines: Line[]; child: ChildProcess } {
    const child = host.spawn(`exec slotctl logs -f ${options} --json`);
    t.after(() => child.kill("SIGKILL"));
    const lines: Line[] = [];
    if (child.stdout) createInterface({ input: child.stdout }).on("line", (line) => lines.push(...parse([line])));
    return { lines, child };
  }

  const ofSlot = (lines: Line[], slot: string, begin = "") =>
    lines.filter((line) => line.slot === slot && line.line.startsWith(begin)).map(({ line }) => line);

  it("a worker's lines arrive in the journal, by their identifier and the agent's unit", async () => {
    await ask("a", "/write", "one\ntwo\n");
    assert.deepEqual((await inJournal("web/a/1/0", "")).filter(Boolean), ["worker 0 of 1 is up", "one", "two"]);
    assert.deepEqual(await inJournal("web/b/2/0", "worker"), ["worker 0 of 2 is up"]);
    const [first] = await json<WorkerStatus[]>("slotctl workers");
    assert.equal(first?.output, "journal:web/a/1/0");
  });

  it("slotctl logs tells a worker's last lines", async () => {
    await ask("a", "/write", numbered("last", 0, 10).join("\n").concat("\n"));
    await inJournal("web/a/1/0", "");
    assert.deepEqual(await logs("a --worker 0 -n 5"), numbered("last", 5, 10));
    assert.deepEqual(await logs("b --worker 0 -n 5"), ["worker 0 of 2 is up"]);
    assert.deepEqual(await logs("a --worker 0 -n 0"), []);
    assert.deepEqual((await logs("-n 1")).sort(), ["last 9", "worker 0 of 2 is up"]);
  });

  it("what others write under a worker's identifier is not told as the worker's", async () => {
    await host.run(
      "echo not mine | systemd-cat -t web/a/1/0; logger --journald <<< $'SYSLOG_IDENTIFIER=web/a/1/0\nMESSAGE=nor mine'",
    );
    const { stdout } = await host.run("journalctl --sync; journalctl -q -o cat -t web/a/1/0");
    assert.match(stdout, /not mine/);
    assert.deepEqual(await logs("a --worker 0 -n 1"), ["last 9"]);
  });

  it("bytes that are no text, empty and very long lines are told as the journal keeps them", async () => {
    const long = `long ${"y".repeat(100_000)}`;
    const wrote = [Buffer.from("caf"), Buffer.from([0xe9]), Buffer.from(` latin\n\n<3>grave é 漢\n${long}\nend\n`)];
    await ask("a", "/write", Buffer.concat(wrote));
    await inJournal("web/a/1/0", "");
    const lines = await logs("a -n 6");
    assert.deepEqual(lines.slice(0, 2), ["caf\ufffd latin", "grave é 漢"]);
    assert.equal(lines.at(-1), "end");
    assert.deepEqual(
      lines.slice(2, -1).map(({ length }) => length),
      [49_152, 49_152, 100_005 - 2 * 49_152],
    );
    assert.equal(lines.slice(2, -1).join(""), long);
  });

  it("slotctl logs -f tells each line once and in order, whenever it begins", async (t) => {
    await ask("a", "/count?name=seam&lines=4000&every=1");
    const followers: ReturnType<typeof follow>[] = [];
    for (const lines of [0, 5, 50, 1000, 5, 5]) {
      followers.push(follow(t, `a -n ${lines}`));
      await until("it tells new lines", () => followers.at(-1)?.lines.length);
    }
    await untilWritten("a");
    for (const { lines } of followers) {
      await until("the last line is there", () => lines.at(-1)?.line === "seam 3999");
      const seen = ofSlot(lines, "a", "seam");
      const first = Number(seen[0]?.split(" ")[1]);
      assert.deepEqual(seen, numbered("seam", first, 4000));
    }
  });

  it("slotctl logs -f tells the lines of workers that come later", async (t) => {
    const { lines } = follow(t, "-n 1");
    await until("the old ones are told", () => lines.length >= 2);
    await publish("3");
    await install("3", "b");
    await until("the new worker's first line is there", () => ofSlot(lines, "b").includes("worker 0 of 3 is up"));
    await ask("b", "/write", "later\n");
    await until("its next one, too", () => ofSlot(lines, "b").at(-1) === "later");
    assert.deepEqual(await logs("b -n 3"), ["worker 0 of 2 is up", "worker 0 of 3 is up", "later"]);
  });

  it("the last words of a worker that ends at once are in the order's error", async () => {
    await publish("4", { "last-words.txt": "cannot reach the database\n    at connect (db.js:1)\nno end of line" });
    const { code, stderr, stdout } = await install("4", "b", false);
    assert.notEqual(code, 0);
    assert.match(stderr + stdout, /cannot reach the database \| no end of line/);
    const { lastError } = (await json<HostStatus>("slotctl status")).slots.b as SlotStatus;
    assert.equal(lastError?.code, "WORKERS_EXITED");
    assert.match(lastError.message, /7.*cannot reach the database \| no end of line/);
    await install("3", "b");
  });

  it("an agent that is restarted or killed loses no line, and no worker is refused one", async () => {
    const workers = await pids();
    await ask("a", "/count?name=agent&lines=6000&every=1");
    let before = await agent();
    await host.restartUnit(UNIT);
    await untilServing(before);
    before = await agent();
    await host.run(`kill -9 ${before}`);
    await untilServing(before);
    await untilWritten("a");
    assert.deepEqual(await inJournal("web/a/1/0", "agent "), numbered("agent", 0, 6000));
    assert.deepEqual(await pids(), workers);
    assert.deepEqual(await logs("a -n 2"), ["agent 5998", "agent 5999"]);
  });

  for (const [what, command] of [
    ["restarted", "systemctl restart systemd-journald"],
    ["killed", "systemctl kill -s KILL systemd-journald"],
  ] as const)
    it(`a journald that is ${what} harms no worker; lines go on, and are followed on`, async (t) => {
      const workers = await pids();
      const { lines } = follow(t, "a -n 1");
      await until("it follows", () => lines.length === 1);
      await ask("a", `/count?name=${what}&lines=3000&every=1`);
      await until("lines come", () => lines.length > 100);
      const before = await host.show("systemd-journald", "MainPID");
      await host.run(command);
      await until("another journald is there", async () => {
        const pid = await host.show("systemd-journald", "MainPID");
        return pid !== before && pid !== "0" && (await host.show("systemd-journald", "ActiveState")) === "active";
      });
      await untilWritten("a");
      const written = await inJournal("web/a/1/0", `${what} `);
      // A journald that is killed takes with it what it had read and not written yet.
      if (what === "restarted") assert.deepEqual(written, numbered(what, 0, 3000));
      else assert(written.length > 2900 && written.at(-1) === `${what} 2999`, `${written.length} lines`);
      await until("the last line was followed", () => lines.at(-1)?.line === `${what} 2999`);
      assert.deepEqual(ofSlot(lines, "a", what), written);
      assert.deepEqual(await pids(), workers);
      await ask("b", "/write", `after ${what}\n`);
      assert.deepEqual(await inJournal("web/b/3/0", `after ${what}`), [`after ${what}`]);
    });

  it("a journald that hangs keeps neither the agent nor the workers from their work, nor an order from its end", async (t) => {
    const [before, workers] = [await agent(), await pids()];
    const restarts = await host.show(UNIT, "NRestarts");
    const journald = await host.show("systemd-journald", "MainPID");
    t.after(() => host.run(`kill -CONT ${journald}`, { check: false }));
    await host.run(`kill -STOP ${journald}`);
    const since = performance.now();
    await ask("a", "/count?name=hung&lines=2000&every=1");
    let longestMs = 0;
    let ordered: Promise<unknown> | undefined;
    await until(
      "longer than the watchdog's time is over",
      async () => {
        const begin = performance.now();
        await json<HostStatus>("slotctl status");
        longestMs = Math.max(longestMs, performance.now() - begin);
        await ask("a", "/");
        ordered ??= install("2", "b");
        return performance.now() - since > 10_000;
      },
      { everyMs: 200 },
    );
    await ordered;
    t.diagnostic(`slotctl status took at most ${Math.round(longestMs)} ms`);
    assert(longestMs < HUNG_MS, `${longestMs} ms`);
    await host.run(`kill -CONT ${journald}`);
    await untilWritten("a");
    assert.deepEqual(await inJournal("web/a/1/0", "hung "), numbered("hung", 0, 2000));
    assert.equal(await agent(), before);
    assert.equal(await host.show(UNIT, "NRestarts"), restarts);
    assert.equal((await pids()).filter((pid) => workers.includes(pid)).length, 1, "b's was replaced by the order");
  });

  it("a journald that is not there keeps no worker from being started", async (t) => {
    const old = (await ask("a", "/")).pid;
    const units =
      "systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald";
    t.after(() => host.run(`systemctl start ${units.replace(/ \S+-audit.socket/, "")}`));
    await host.run(`systemctl stop ${units}`, { check: false });
    await host.run("slotctl restart a");
    await until("another worker serves", async () => (await ask("a", "/write", "nobody hears it\n")).pid !== old);
    await untilServing("");
    assert.equal((await ask("a", "/write", "nobody hears it\n")).errors, 0);
  });

  /**
   * Slot a's worker writes so many bytes in a second, or as fast as it can; meanwhile both slots are asked, and the
   * agent. @returns the largest size
   */
  async function flooded(t: TestContext, rate: number, sizeOf: () => Promise<number>): Promise<number> {
    const script = fileURLToPath(new URL("../agent/output/support/latency.js", import.meta.url));
    const measure = (ms: number) =>
      host.run([PACKAGED_NODE, script, String(ms), ...Object.values(PORTS).map((port) => `http://127.0.0.1:${port}/`)]);
    const begin = await ask("a", `/flood?ms=4000&bytes=400000000&rate=${rate}`);
    const since = performance.now();
    const measuring = measure(4_000);
    let largest = 0;
    let longestMs = 0;
    const end = await until(
      "it has written",
      async () => {
        const asked = performance.now();
        await json<HostStatus>("slotctl status");
        longestMs = Math.max(longestMs, performance.now() - asked);
        largest = Math.max(largest, await sizeOf());
        const said = await ask("a", "/");
        return said.running === 0 ? { ...said, tookMs: performance.now() - since } : null;
      },
      { everyMs: 50 },
    );
    const wrote = (end.bytes - begin.bytes) / MIB;
    t.diagnostic(`${Math.round(wrote)} MiB in ${Math.round(end.tookMs)} ms`);
    t.diagnostic(`largest: ${Math.round(largest / MIB)} MiB; slotctl status at most ${Math.round(longestMs)} ms`);
    for (const seen of JSON.parse((await measuring).stdout) as Latency[]) {
      t.diagnostic(JSON.stringify(seen));
      assert.deepEqual(seen.failures, []);
      assert(seen.answered > 100 && seen.p99Ms < HUNG_MS, JSON.stringify(seen));
    }
    assert.equal(end.errors, 0);
    assert(longestMs < HUNG_MS, `slotctl status took ${longestMs} ms`);
    return largest;
  }

  const sizeOfDirectory = async (path: string) =>
    Number((await host.run(`du -sb ${path} 2>/dev/null | cut -f1`, { check: false })).stdout) || 0;

  it("workers that are started when journald is there again are heard", async () => {
    // A journald that is stopped, other than one that is restarted, lets go of the streams that it had.
    for (const slot of ["a", "b"]) {
      const old = (await ask(slot, "/")).pid;
      await host.run(`slotctl restart ${slot}`);
      await until("another worker serves", async () => (await ask(slot, "/")).pid !== old);
      await untilServing("");
      await ask(slot, "/write", "heard again\n");
      await until("it is told", async () => (await logs(`${slot} -n 1`))[0] === "heard again");
    }
  });

  it("a worker that floods the journal holds up neither slot, nor the agent, nor fills the disk", async (t) => {
    const before = await agent();
    const largest = await flooded(t, Number.MAX_SAFE_INTEGER, () => sizeOfDirectory("/var/log/journal"));
    // journald bounds itself when it begins a new file, which is an eighth of the whole at most.
    assert(largest < (64 + 16) * MIB, `${largest} bytes`);
    await ask("b", "/write", "after the flood\n");
    await until("lines go on", async () => (await logs("b -n 1"))[0] === "after the flood");
    assert.equal(await agent(), before);
  });

  it("workers write to files where the configuration says so, within their bound also in a flood", async (t) => {
    const maxBytes = 32 * MIB;
    host.write("/etc/slotd/web.toml", `${CONFIGURATION}logs = { output = "files", max_worker_bytes = ${maxBytes} }\n`);
    const before = await agent();
    await host.restartUnit(UNIT);
    await untilServing(before);
    const old = (await ask("a", "/")).pid;
    await host.run("slotctl restart a");
    await until("another worker serves", async () => (await ask("a", "/")).pid !== old);
    await untilServing(before);
    const [first] = await json<WorkerStatus[]>("slotctl workers");
    assert.match(first?.output ?? "", /^\/.*\/a-0\.log$/);
    await until("its first line is told", async () => (await logs("a -n 1"))[0] === "worker 0 of 1 is up");

    const file = first?.output as string;
    const size = async () => {
      const { stdout } = await host.run(`stat -c %b ${file} ${file}.1 2>/dev/null`, { check: false });
      return stdout.split("\n").reduce((sum, blocks) => sum + Number(blocks) * 512, 0);
    };
    const rate = 100 * MIB;
    const largest = await flooded(t, rate, size);
    // A second, and what a busy machine adds to it.
    assert(largest <= maxBytes + 1.5 * rate, `${largest} bytes`);
    await until("it is within its bound", async () => (await size()) <= maxBytes);
    await ask("a", "/write", "after the flood\n");
    await until("lines go on", async () => (await logs("a -n 1"))[0] === "after the flood");
    assert.doesNotMatch((await host.run("journalctl -q -o cat -t web/a/1/0 --since -20s")).stdout, /after the flood/);
  });
});
