import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { ensureAll } from "../../../bus/buckets.ts";
import { startNats } from "../../support/nats/server.ts";
import { until } from "../../support/until.ts";
import { endAll } from "../cli.ts";
import { connectTo } from "../fake-host.ts";
import { startCluster } from "../support/cluster.ts";
import { everywhere, Stage } from "./stage.ts";

const cleanup: (() => Promise<unknown>)[] = [];
describe("a deploy whose bus goes away", () => {
  afterEach(async () => {
    await endAll();
    for (const undo of cleanup.splice(0).reverse()) await undo();
  });

  async function stageOn(url: string, replicas: number): Promise<Stage> {
    const bus = await connectTo(url, { login: { servers: url.split(",") }, replicas });
    cleanup.push(() => bus.close());
    await ensureAll(bus);
    const stage = await Stage.set(url, bus, "web", { hosts: ["h1", "h2", "h3"], edges: ["e1"], replicas });
    cleanup.push(() => stage.clear());
    await stage.twoVersions();
    return stage;
  }

  it("a deploy waits for a bus that is killed and restarted", async () => {
    const nats = await startNats();
    cleanup.push(() => nats.stop());
    const stage = await stageOn(nats.url, 1);
    stage.fleet.behave({ installMs: 60_000 });
    const running = stage.launch("deploy", "C", "--wave", "2");
    await until("two hosts have their orders", async () => (await stage.record()).deploy?.hosts.h2?.step === "ordered");
    await nats.kill();
    await nats.restart();
    for (const host of stage.fleet.hosts.values()) host.hurry();
    const { code, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("a bus that stays away ends the run with exit code 3 and its lock in place, and resume continues", async () => {
    const nats = await startNats();
    cleanup.push(() => nats.stop());
    const stage = await stageOn(nats.url, 1);
    stage.fleet.behave({ installMs: 60_000 });
    const running = stage.launch("deploy", "C", "--wave", "2", "--lease", "1500", "--patience", "1000");
    await until("two hosts have their orders", async () => (await stage.record()).deploy?.hosts.h2?.step === "ordered");
    await nats.kill();
    const { code, json } = await running.ended;
    assert.deepEqual([code, json().error.code], [3, "BUS_UNREACHABLE"]);
    assert.match(json().error.message, /JetStream failed for 1000 ms/);
    await nats.restart();
    for (const host of stage.fleet.hosts.values()) host.hurry();
    const { lock, deploy } = await until("the record can be read again", () => stage.record());
    assert.deepEqual([typeof lock?.holder, deploy?.step, deploy?.halted], ["string", "installing", null]);
    const resumed = await stage.run("resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("a deploy survives the loss of the leader of orders and records, on three replicas", async () => {
    const cluster = await startCluster();
    cleanup.push(() => cluster.stop());
    const stage = await stageOn(cluster.url, 3);
    stage.fleet.behave({ installMs: 60_000 });
    const running = stage.launch("deploy", "C", "--wave", "2", "--replicas", "3", "--barrier-timeout", "60000");
    await until("two hosts have their orders", async () => (await stage.record()).deploy?.hosts.h2?.step === "ordered");
    await cluster.killLeader("KV_slotd-deploys");
    for (const host of stage.fleet.hosts.values()) host.hurry();
    const { code, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
    assert.deepEqual(stage.fleet.violations, []);
  });
});
