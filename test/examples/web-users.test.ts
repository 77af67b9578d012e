import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { until } from "../support/until.ts";
import { BUCKET_MS, type PhaseReport, Users, type UsersOptions, type UsersReport } from "../support/users/users.ts";
import { startWeb, type Web } from "../support/users/web.ts";

describe("simulated users", () => {
  let into: string;
  const undo: (() => unknown)[] = [];
  before(async () => {
    into = await mkdtemp(join(tmpdir(), "slotd-users-"));
  });
  after(() => rm(into, { recursive: true, force: true }));
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });
  const web = async (version: string, port?: number): Promise<Web> => {
    const started = await startWeb(version, into, port);
    undo.push(() => started.kill());
    return started;
  };
  const come = async (options: Partial<UsersOptions> & Pick<UsersOptions, "urls">): Promise<Users> => {
    const users = await Users.start({ users: 20, requestsPerSecond: 200, ...options });
    undo.push(() => users.kill());
    return users;
  };
  /** What was counted since a mark. */
  const of = ({ phases }: UsersReport, name: string) => phases[name] as PhaseReport;
  const untilSeen = (users: Users, name: string, holds: (phase: PhaseReport) => boolean) =>
    until(
      `the users have seen enough of ${name}`,
      async () => {
        const phase = of(await users.report(), name);
        if (holds(phase)) return phase;
        throw new Error(JSON.stringify(phase));
      },
      { everyMs: 50 },
    );

  it("load the page and its assets, and make calls over both kinds of connections, which all come from that version", async () => {
    const { url } = await web("1.0");
    const users = await come({ urls: [url] });
    const { requests, p50Ms } = await untilSeen(users, "start", ({ requests }) => requests > 300);
    assert(p50Ms > 0);
    const { phases, timeline, reloads, wrong } = await users.stop();
    const { start } = phases as { start: PhaseReport };
    assert(start.requests >= requests && start.p99Ms >= start.p50Ms && start.maxMs >= start.p99Ms);
    const { failed, wrongVersion, brokenPages, notices } = start;
    assert.deepEqual(
      { failed, wrongVersion, brokenPages, notices },
      { failed: 0, wrongVersion: 0, brokenPages: 0, notices: 0 },
    );
    assert.deepEqual([reloads, wrong], [[], []]);
    assert.deepEqual(Object.keys(start.by).sort(), ["GET kept", "GET new", "POST kept", "POST new"]);
    const byWay = Object.values(start.by).reduce((sum, way) => sum + way.requests, 0);
    assert.equal(byWay, start.requests);
    assert.deepEqual(new Set(timeline.flatMap(({ byVersion }) => Object.keys(byVersion))), new Set(["1.0"]));
    const counted = timeline.reduce((sum, { byVersion }) => sum + (byVersion["1.0"] ?? 0), 0);
    assert.equal(counted, start.requests);
    assert(timeline.every(({ atMs }) => atMs % BUCKET_MS === 0));
  });

  it("reload once when another version takes over, as the page's own client does", async () => {
    const first = await web("1.0");
    const port = Number(new URL(first.url).port);
    const users = await come({ urls: [first.url] });
    await untilSeen(users, "start", ({ requests }) => requests > 100);
    users.mark("deploy");
    await first.kill();
    await web("2.0", port);
    await untilSeen(users, "deploy", ({ reloadedUsers }) => reloadedUsers === 20);
    users.mark("after");
    await untilSeen(users, "after", ({ requests }) => requests > 100);
    const report = await users.stop();
    const deploy = of(report, "deploy");
    assert(deploy.failed > 0, "the port was closed meanwhile");
    assert(Object.keys(deploy.failures).some((failure) => /ECONNREFUSED on a new connection/.test(failure)));
    const { failures, wrong: wrongOnes } = report.seen;
    // Some began before the mark.
    const failedInAll = Object.values(report.phases).reduce((sum, phase) => sum + phase.failed, 0);
    assert.equal(failures.length, failedInAll, "each is kept with its times");
    for (const { code, fromMs, toMs, openedMs } of failures) {
      assert(fromMs >= Date.parse(report.startedAt) - 1 && fromMs <= toMs && toMs <= Date.now() + 1);
      assert(code !== "ECONNREFUSED" || openedMs === null);
      assert(openedMs === null || openedMs <= toMs);
    }
    assert.equal(wrongOnes.length, 20);
    assert.deepEqual([deploy.reloads, deploy.mostReloadsOfAUser, deploy.flipFlops], [20, 1, 0]);
    assert.equal(deploy.wrongVersion, 20, "each user was told once");
    const { failed, reloads, wrongVersion } = of(report, "after");
    assert.deepEqual({ failed, reloads, wrongVersion }, { failed: 0, reloads: 0, wrongVersion: 0 });
    assert.deepEqual(
      report.wrong.map(({ asked, answered, count }) => ({ asked, answered, count })),
      [{ asked: "1.0", answered: "2.0", count: 20 }],
    );
    assert(report.reloads.every(({ from, to }) => from === "1.0" && to === "2.0"));
    assert.equal(new Set(report.reloads.map(({ user }) => user)).size, 20);
  });

  it("flip-flop between two versions with a naive client, and do not with the page's own one", async () => {
    const urls = [(await web("1.0")).url, (await web("2.0")).url];
    const naive = await come({ urls, edges: "switching", client: "naive" });
    await untilSeen(naive, "start", ({ flipFlops }) => flipFlops > 100);
    const { start: flipped } = (await naive.stop()).phases as { start: PhaseReport };
    assert(flipped.mostReloadsOfAUser > 2 && flipped.wrongVersion > 100 && flipped.brokenPages > 0);

    const guarded = await come({ urls, edges: "switching", reloadPauseMs: 0 });
    await untilSeen(guarded, "start", ({ notices }) => notices > 100);
    const { start } = (await guarded.stop()).phases as { start: PhaseReport };
    assert(start.mostReloadsOfAUser <= 2, JSON.stringify(start));
    assert(start.reloads > 0);
  });

  it("stay with one URL each, and are spread over all of them", async () => {
    const urls = [(await web("1.0")).url, (await web("2.0")).url];
    const users = await come({ urls });
    await untilSeen(users, "start", ({ requests }) => requests > 300);
    const { phases, timeline } = await users.stop();
    assert.deepEqual([phases.start?.wrongVersion, phases.start?.reloads], [0, 0]);
    const versions = new Set(timeline.flatMap(({ byVersion }) => Object.keys(byVersion)));
    assert.deepEqual([...versions].sort(), ["1.0", "2.0"]);
  });

  it("end with whoever started them, and say when their process has died", async () => {
    const { url } = await web("1.0");
    const users = await come({ urls: [url] });
    const waiting = assert.rejects(users.stop(), /ended with SIGKILL/);
    process.kill(users.pid, "SIGKILL");
    await waiting;
    await users.kill();
  });

  it("are refused where there is nobody to ask, or too many of them", async () => {
    const good = { urls: ["http://127.0.0.1:1"], users: 1, requestsPerSecond: 1 };
    await assert.rejects(Users.start({ ...good, urls: [] }), RangeError);
    await assert.rejects(Users.start({ ...good, urls: ["ftp://x"] }), RangeError);
    for (const users of [0, 1.5, 5_001]) await assert.rejects(Users.start({ ...good, users }), RangeError);
    for (const requestsPerSecond of [0, -1, Number.NaN, 20_001])
      await assert.rejects(Users.start({ ...good, requestsPerSecond }), RangeError);
  });
});
