import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { openBucket } from "../../../bus/buckets.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { until } from "../../support/until.ts";
import { everywhere, type Stage, Theatre } from "./stage.ts";

const theatre = new Theatre();
describe("a deploy that halts", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  const NOT_READY = { code: "NOT_READY", message: "0 of 2 workers were ready" };

  async function halted(stage: Stage): Promise<string | undefined> {
    const { lock, deploy } = await stage.record();
    assert.equal(lock, null, "the lock is free");
    return deploy?.halted?.code;
  }

  it("a failed install halts the wave, says where and why, and resume tries the host again", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ fails: NOT_READY }, ["h2"]);
    const failed = await stage.run("deploy", "C", "--wave", "1");
    assert.equal(failed.code, 1);
    const { outcome, error, failures, step } = failed.json();
    assert.deepEqual([outcome, step, error.code], ["halted", "installing", "HOSTS_FAILED"]);
    assert.match(error.message, /h2 slot a: NOT_READY: 0 of 2 workers were ready/);
    assert.deepEqual(failures, [{ host: "h2", slot: "a", ...NOT_READY }]);
    assert.equal(await halted(stage), "HOSTS_FAILED");
    assert.deepEqual(stage.versions(), { h1: ["C", "B"], h2: ["A", "B"], h3: ["A", "B"] });
    assert.deepEqual(await stage.served(), ["B", ["B"]]);

    const again = await stage.run("deploy", "D");
    assert.equal(again.json().error.code, "DEPLOY_UNFINISHED");
    stage.fleet.behave({ fails: null });
    const resumed = await stage.run("resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.deepEqual(await stage.served(), ["C", ["B", "C"]]);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("as many hosts may fail as --max-failures allows, and no more", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ fails: NOT_READY }, ["h1", "h2"]);
    const failed = await stage.run("deploy", "C", "--wave", "1", "--max-failures", "1");
    assert.equal(failed.json().error.code, "HOSTS_FAILED");
    stage.fleet.behave({ fails: null }, ["h2"]);
    const resumed = await stage.run("resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.deepEqual([resumed.json().hosts.failed, resumed.json().hosts.done], [1, 2]);
    assert.deepEqual(stage.versions().h1, ["A", "B"]);
  });

  it("a crash loop on a host of an earlier wave halts the deploy", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 60_000 }, ["h3"]);
    const running = stage.launch("deploy", "C", "--wave", "1");
    await until("h1 and h2 have C", () => stage.fleet.host("h2").versions[0] === "C");
    stage.fleet.host("h1").crash("a");
    const { code, json } = await running.ended;
    assert.equal(code, 1);
    assert.match(json().error.message, /h1 slot a: CRASH_LOOP/);
    assert.deepEqual(json().failures[0].host, "h1");
  });

  it("a host whose version fails once it is prepared halts the promotion, and resume tries it again before anything is switched", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    assert.equal((await stage.run("prepare", "C")).code, 0);
    stage.fleet.host("h1").crash("a");
    await until("it is known", async () => (await stage.run("status")).json().hosts[0].slots.a.state === "failed");
    const failed = await stage.run("promote");
    assert.deepEqual([failed.json().error.code, failed.json().step], ["HOSTS_FAILED", "waiting"], failed.stderr);
    assert.deepEqual(await stage.served(), ["B", ["B", "C"]]);
    const resumed = await stage.run("resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.equal(resumed.json().steps[0].step, "installing");
    assert.deepEqual([await stage.served(), stage.versions()], [["C", ["B", "C"]], everywhere(stage, "C", "B")]);
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("a host that reports another version than ordered has failed", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ lies: "B" }, ["h3"]);
    const { code, json } = await stage.run("deploy", "C", "--wave", "100%");
    assert.equal(code, 1);
    assert.match(json().error.message, /h3 slot a: VERSION_MISMATCH: says that C is installed, but slot a holds B/);
  });

  it("hosts without an outcome in time halt the wave, and resume waits for the order that they have", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 1500 }, ["h2"]);
    const late = await stage.run("deploy", "C", "--wave", "100%", "--timeout", "400");
    assert.equal(late.json().error.code, "WAIT_TIMEOUT");
    assert.match(late.json().error.message, /h2 slot a: WAIT_TIMEOUT: no outcome within 400 ms/);
    const before = stage.fleet.host("h2").installs;
    const resumed = await stage.run("resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    // One for the version, and two for the roles.
    assert.ok(stage.fleet.host("h2").installs <= before + 3);
  });

  it("a deploy waits for an absent host, and continues when it returns", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.host("h1").leave();
    await until("h1 is silent", async () => (await stage.run("status")).json().stale.includes("h1"));
    const running = stage.launch("deploy", "C", "--wave", "1");
    await until("the others are done", () => ["h2", "h3"].every((host) => stage.fleet.host(host).versions[0] === "C"));
    await running.line(/"kind":"wave","wave":3.*h1/);
    await stage.fleet.comeBack("h1");
    const { code, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /no reports from h1: the order is put anyway, and the deploy waits/);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
  });

  it("an excluded absent host gets its order without a wait, and converges by itself when it returns", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.host("h1").leave();
    await until("h1 is silent", async () => (await stage.run("status")).json().stale.includes("h1"));
    const done = await stage.run("deploy", "C", "--exclude-absent");
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual([done.json().hosts.done, done.json().hosts.excluded], [2, 1]);
    assert.deepEqual(stage.versions().h1, ["A", "B"]);
    await stage.fleet.comeBack("h1");
    await until("h1 has C", () => stage.fleet.host("h1").versions[0] === "C");
  });

  it("zero hosts is an error, whatever the reason", async () => {
    const nobody = await theatre.stage({ hosts: [] });
    assert.equal((await nobody.run("deploy", "A")).json().error.code, "NO_HOSTS");
    const stage = await theatre.stage();
    assert.equal((await stage.run("deploy", "A", "--exclude", "h*")).json().error.code, "NO_HOSTS");
    const mistyped = await stage.run("deploy", "A", "--only", "h1,x9");
    assert.deepEqual([mistyped.code, mistyped.json().error.field], [2, "--only"]);
    for (const host of stage.fleet.hosts.values()) host.leave();
    await until("all are silent", async () => (await stage.run("status")).json().stale.length === 3);
    assert.equal((await stage.run("deploy", "A", "--exclude-absent")).json().error.code, "NO_HOSTS");
    assert.equal((await stage.record()).lock, null);
  });

  it("what can't be deployed is refused: the default version, an unpublished one, a promotion of nothing", async () => {
    const stage = await theatre.stage();
    const unknown = await stage.run("deploy", "X");
    assert.deepEqual([unknown.code, unknown.json().error.code], [1, "RELEASE_NOT_FOUND"]);
    assert.equal((await stage.run("promote")).json().error.code, "NOT_PREPARED");
    assert.equal((await stage.run("resume")).json().error.code, "NO_DEPLOY");
    assert.equal((await stage.run("abort")).json().error.code, "NO_DEPLOY");
    assert.equal((await stage.run("rollback")).json().error.code, "NOTHING_TO_ROLL_BACK");
    assert.equal((await stage.run("deploy", "A")).code, 0);
    assert.equal((await stage.run("deploy", "A")).json().error.code, "ALREADY_CURRENT");
    assert.equal((await stage.run("rollback")).json().error.code, "NOTHING_TO_ROLL_BACK");
    assert.deepEqual(await stage.served(), ["A", ["A"]]);
  });

  it("an interrupted deploy stops, releases its lock and says so, and resume continues it", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 300 });
    const running = stage.launch("deploy", "C", "--wave", "1");
    await running.line(/"kind":"wave","wave":2/);
    running.child.kill("SIGINT");
    const { code, json } = await running.ended;
    assert.deepEqual([code, json().outcome, json().error.code], [130, "halted", "INTERRUPTED"]);
    assert.equal((await stage.record()).deploy?.halted?.message, "interrupted by SIGINT");
    assert.equal(await halted(stage), "INTERRUPTED");
    assert.equal((await stage.run("resume")).code, 0);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("host statuses that can't be read are named once and left out; an edge's holds the deploy", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    const hosts = await openBucket(theatre.bus, buckets.hosts);
    await hosts.put(keys.host(stage.service, "h9"), "{}");
    const edges = await openBucket(theatre.bus, buckets.edges);
    await edges.put(keys.edge(stage.service, "e9"), '{"edge":"e9"}');
    const stuck = await stage.run("deploy", "C", "--barrier-timeout", "300");
    assert.equal(stuck.json().error.code, "EDGES_MISSING");
    assert.match(stuck.json().error.message, /e9: its status can't be read/);
    assert.equal(stuck.stderr.match(/left out the status under .*h9: /g)?.length, 1);
    const on = await stage.run("resume", "--without-edge", "e9");
    assert.equal(on.code, 0, on.stderr);
  });

  it("a record that can't be read is named, and left as it is", async () => {
    const stage = await theatre.stage();
    const kv = await openBucket(theatre.bus, buckets.deploys);
    await kv.put(stage.service, '{"service":"web"}');
    for (const [verb, ...args] of [["deploy", "A"], ["resume"]] as [string, ...string[]][]) {
      const { code, stderr } = await stage.run(verb, ...args);
      assert.equal(code, 1);
      assert.match(stderr, /error VALUE_MALFORMED: .*can't be read \(.+\); `slotd-controller repair web/);
    }
    const shown = await stage.run("status");
    assert.equal(shown.code, 0);
    assert.match(shown.stderr, /left out the deploy record under web/);
    assert.equal((await kv.get(stage.service))?.string(), '{"service":"web"}');
    await kv.delete(stage.service);
    assert.equal((await stage.run("deploy", "A")).code, 0);
  });
});
