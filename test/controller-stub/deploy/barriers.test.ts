import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { openBucket } from "../../../bus/buckets.ts";
import { buckets } from "../../../protocol/subjects.ts";
import { until } from "../../support/until.ts";
import { everywhere, Theatre } from "./stage.ts";

const theatre = new Theatre();
describe("the barriers of a deploy", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  it("an edge that never acknowledges halts the deploy before anything is replaced, and is named", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.setEdge("e2", "stuck");
    const { code, json } = await stage.run("deploy", "C", "--barrier-timeout", "300");
    assert.deepEqual([code, json().error.code, json().step], [1, "EDGES_MISSING", "draining"]);
    assert.match(json().error.message, /e2: at routes \d+, needs \d+, last reported 20/);
    assert.deepEqual(
      json().error.missing.map(({ edge }: { edge: string }) => edge),
      ["e2"],
    );
    assert.deepEqual(stage.versions(), everywhere(stage, "A", "B"));

    stage.fleet.setEdge("e2", "follows");
    const resumed = await stage.run("resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("an acknowledgement under an old epoch does not count", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.setEdge("e1", "oldEpoch");
    const { json } = await stage.run("deploy", "C", "--barrier-timeout", "300");
    assert.equal(json().error.code, "EDGES_MISSING");
    assert.match(json().error.message, /e1: at epoch \d+, needs \d+/);
  });

  it("the switch waits for an edge that died after its acknowledgement, until the edge is forgotten", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    assert.equal((await stage.run("prepare", "C")).code, 0);
    assert.deepEqual([await stage.step(), await stage.served()], ["prepared", ["B", ["B", "C"]]]);
    stage.fleet.setEdge("e2", "dead");
    const halted = await stage.run("promote", "--barrier-timeout", "300");
    assert.equal(halted.json().error.code, "EDGES_MISSING");
    assert.deepEqual(await stage.served(), ["B", ["B", "C"]]);

    const running = stage.launch("resume");
    await running.line(/"kind":"waiting","for":"edges".*"e2"/);
    const forgotten = await stage.run("edges", "--forget", "e2");
    assert.equal(forgotten.code, 0, forgotten.stderr);
    const { code, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(await stage.served(), ["C", ["B", "C"]]);
    assert.equal((await stage.run("edges", "--forget", "e2")).code, 2);
  });

  it("a deploy does not wait for an edge that --without-edge names", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.setEdge("e2", "stuck");
    const done = await stage.run("deploy", "C", "--without-edge", "e2");
    assert.equal(done.code, 0, done.stderr);
  });

  it("without any edge the deploy continues, and warns that it waited for none", async () => {
    const stage = await theatre.stage({ edges: [] });
    await stage.twoVersions();
    const done = await stage.run("deploy", "C");
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /no edge is known, so the deploy waited for none/);
  });

  it("endpoints that an edge holds back, and its problems, are shown", async () => {
    const stage = await theatre.stage();
    Object.assign(stage.fleet.edge("e1"), {
      heldBack: 3,
      problems: [{ code: "MEMBER_MALFORMED", message: "no port", key: "k" }],
    });
    await stage.run("deploy", "A");
    const { stderr } = await stage.run("deploy", "B");
    assert.match(stderr, /e1 holds 3 endpoints back/);
    assert.match(stderr, /e1 reports MEMBER_MALFORMED: no port \(k\)/);
  });

  it("a deploy also waits for an edge that starts while it runs", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 60_000 });
    const running = stage.launch("deploy", "C", "--wave", "100%", "--barrier-timeout", "3000");
    await running.line(/"kind":"wave"/);
    stage.fleet.addEdge("e3", { mode: "follows" });
    await until("e3 has reported", async () => (await stage.run("edges")).json().edges.length === 3);
    stage.fleet.setEdge("e3", "stuck");
    for (const host of stage.fleet.hosts.values()) host.hurry();
    const { json } = await running.ended;
    assert.deepEqual([json().error.code, json().step], ["EDGES_MISSING", "waiting"]);
  });

  it("a version is offered only once each host that was waited for is in the serverset", async () => {
    // A heartbeat would put right what is put wrong here.
    const stage = await theatre.stage({ heartbeatMs: 600_000 });
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 60_000 });
    const running = stage.launch("deploy", "C", "--wave", "100%", "--barrier-timeout", "3000");
    await running.line(/"kind":"wave"/);
    const members = await openBucket(theatre.bus, buckets.serversets);
    const key = `${stage.service}.prod.h2.a`;
    stage.fleet.host("h2").hurry();
    await until("h2 is registered", async () => (await members.get(key))?.string().includes('"version":"C"'));
    await members.put(key, '{"nonsense":true}');
    for (const host of stage.fleet.hosts.values()) host.hurry();
    const { json } = await running.ended;
    assert.equal(json().error.code, "MEMBERS_MISSING");
    assert.match(json().error.message, /h2: its member can't be read: serviceEndpoint/);
    assert.deepEqual(await stage.served(), ["B", ["B"]]);
  });

  it("deploying the previous version again needs no work on any host", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    stage.fleet.behave({ installMs: 60_000 });
    const back = await stage.run("deploy", "A");
    assert.equal(back.code, 0, back.stderr);
    assert.deepEqual(await stage.served(), ["A", ["A", "B"]]);
    assert.deepEqual(stage.fleet.violations, []);
  });
});
