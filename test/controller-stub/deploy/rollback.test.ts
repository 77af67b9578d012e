import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { until } from "../../support/until.ts";
import { everywhere, Theatre } from "./stage.ts";

const theatre = new Theatre();
describe("a rollback", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  it("after the switch, a rollback switches back to the processes that never stopped", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    assert.equal((await stage.run("deploy", "C")).code, 0);
    const since = [...stage.fleet.hosts.values()].map((host) => host.slot("b")?.since);
    stage.fleet.behave({ installMs: 60_000 });
    const back = await stage.run("rollback");
    assert.equal(back.code, 0, back.stderr);
    assert.equal(back.json().outcome, "rolledBack");
    assert.deepEqual(await stage.served(), ["B", ["B", "C"]]);
    assert.deepEqual(
      [...stage.fleet.hosts.values()].map((host) => host.slot("b")?.since),
      since,
    );
    assert.equal((await stage.run("rollback")).json().error.code, "NOTHING_TO_ROLL_BACK");
    stage.fleet.behave({ installMs: 5 });
    const next = await stage.run("deploy", "D");
    assert.equal(next.code, 0, next.stderr);
    assert.deepEqual([await stage.served(), stage.versions()], [["D", ["B", "D"]], everywhere(stage, "D", "B")]);
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("before the switch, a rollback brings back what was replaced, then the routes", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    assert.equal((await stage.run("prepare", "C")).code, 0);
    const back = await stage.run("rollback");
    assert.equal(back.code, 0, back.stderr);
    assert.deepEqual([await stage.served(), stage.versions()], [["B", ["A", "B"]], everywhere(stage, "A", "B")]);
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("in mid-wave, a rollback undoes what was ordered, and leaves the other hosts alone", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ fails: { code: "NOT_READY", message: "no" } }, ["h2"]);
    assert.equal((await stage.run("deploy", "C", "--wave", "1")).code, 1);
    stage.fleet.behave({ fails: null });
    const untouched = stage.fleet.host("h3").installs;
    const back = await stage.run("rollback");
    assert.equal(back.code, 0, back.stderr);
    assert.deepEqual(back.json().hosts.total, 2);
    assert.equal(stage.fleet.host("h3").installs, untouched);
    assert.deepEqual([await stage.served(), stage.versions()], [["B", ["A", "B"]], everywhere(stage, "A", "B")]);
  });

  it("a rollback of the very first deploy, before its switch, leaves empty slots", async () => {
    const stage = await theatre.stage();
    assert.equal((await stage.run("prepare", "A")).code, 0);
    assert.deepEqual([await stage.served(), stage.versions()], [null, everywhere(stage, "A", null)]);
    const back = await stage.run("rollback");
    assert.equal(back.code, 0, back.stderr);
    assert.deepEqual(stage.versions(), everywhere(stage, null, null));
    assert.equal((await stage.run("deploy", "B")).code, 0);
  });

  it("resume continues a rollback that was killed", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    assert.equal((await stage.run("prepare", "C")).code, 0);
    stage.fleet.behave({ installMs: 200 });
    const running = stage.launch("rollback", "--lease", "300");
    await until("h1 has A again", () => stage.fleet.host("h1").versions[0] === "A");
    running.child.kill("SIGKILL");
    await running.ended;
    const on = await stage.run("resume");
    assert.equal(on.code, 0, on.stderr);
    assert.deepEqual([await stage.step(), await stage.served()], ["rolledBack", ["B", ["A", "B"]]]);
    assert.deepEqual(stage.versions(), everywhere(stage, "A", "B"));
  });

  it("abort leaves hosts and routes as they are, and the next deploy starts from there", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ fails: { code: "NOT_READY", message: "no" } }, ["h2"]);
    assert.equal((await stage.run("deploy", "C", "--wave", "1")).code, 1);
    const aborted = await stage.run("abort");
    assert.equal(aborted.code, 0, aborted.stderr);
    assert.deepEqual([await stage.step(), await stage.served()], ["aborted", ["B", ["B"]]]);
    assert.deepEqual(stage.versions(), { h1: ["C", "B"], h2: ["A", "B"], h3: ["A", "B"] });
    stage.fleet.behave({ fails: null });
    const next = await stage.run("deploy", "D");
    assert.equal(next.code, 0, next.stderr);
    assert.deepEqual([await stage.served(), stage.versions()], [["D", ["B", "D"]], everywhere(stage, "D", "B")]);
    assert.deepEqual(stage.fleet.violations, []);
  });
});
