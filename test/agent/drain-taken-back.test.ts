import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { DrainRecord } from "../../protocol/host-status.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

describe("a drain that is taken back, held or cut short", () => {
  const hosts = useHosts();

  const serving = async (settings: Record<string, unknown> = {}): Promise<Host> => {
    const host = await hosts.start(settings);
    await host.installed("a", await makeRelease(host.archives, "1", { app: "app.mjs" }));
    return host;
  };
  /** A request that keeps a drain from ending for as long as the test runs. */
  const occupy = async (host: Host) => {
    const given = new AbortController();
    fetch(host.url("a", "/slow?ms=60000"), { signal: given.signal }).catch(() => {});
    hosts.onEnd(() => given.abort());
    await host.untilSlot("a", "has a request", ({ connections }) => (connections?.inFlight ?? 0) > 0);
  };
  const refused = { code: "SLOT_STATE", status: 409 };

  it("serves on with the same processes, registered again, after an operator's drain", async () => {
    const host = await serving();
    const pids = await host.pids("a");
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await host.do("drain", "a");
    const drained = await host.untilSlot("a", "is drained", ({ lastDrain }) => lastDrain?.idle === "idle");
    assert.equal(drained.state, "draining");
    assert.equal(drained.held, true);
    assert.equal((await host.member("a"))?.status, "STOPPING");
    assert.deepEqual(await host.pids("a"), pids);

    await host.do("undrain", "a");
    const status = await host.untilState("a", "serving");
    assert.equal(status.held, false);
    assert.deepEqual(await host.pids("a"), pids);
    await until("the member is ALIVE again", async () => (await host.member("a"))?.status === "ALIVE");
    assert(!watch.of("a").includes(null), "the member was never deleted");
    assert.equal((await host.get("a")).version, "1");
  });

  it("cancels an uninstall order whose drain is under way, and serves on with the same processes", async () => {
    const host = await serving();
    const pids = await host.pids("a");
    await occupy(host);
    const id = await host.uninstall("a", "1");
    await host.untilSlot("a", "waits for requests", ({ progress }) => progress?.step === "waiting for requests");
    await host.do("undrain", "a");
    const status = await host.untilOrder("a", id);
    assert.equal(status.order?.outcome, "cancelled");
    assert.equal(status.order?.error?.code, "DRAIN_CANCELLED");
    await host.untilState("a", "serving");
    assert.deepEqual(await host.pids("a"), pids);
    await until("the member is ALIVE again", async () => (await host.member("a"))?.status === "ALIVE");
  });

  it("keeps a held drain over the agent's restart, and never registers meanwhile", async () => {
    const host = await serving();
    const pids = await host.pids("a");
    await host.do("drain", "a");
    await host.untilSlot("a", "is drained", ({ lastDrain }) => lastDrain !== null);
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await host.killAgent();
    await host.startAgent();
    const status = await host.untilState("a", "draining");
    assert.equal(status.held, true);
    assert.deepEqual(await host.pids("a"), pids);
    await host.untilSlot("a", "is healthy again", ({ workers }) => workers.ready === 2);
    assert(!watch.of("a").some((member) => member?.status === "ALIVE"), "it was not registered");
    await host.do("undrain", "a");
    await until("the member is ALIVE again", async () => (await host.member("a"))?.status === "ALIVE");
    assert.deepEqual(await host.pids("a"), pids);
  });

  it("refuses to drain, undrain or restart a slot in the wrong state", async () => {
    const host = await serving();
    for (const verb of ["drain", "undrain", "restart"] as const) await assert.rejects(host.do(verb, "b"), refused);
    await assert.rejects(host.do("undrain", "a"), refused);
    await host.do("drain", "a");
    await host.untilState("a", "draining");
    await assert.rejects(host.do("restart", "a"), refused);
    await host.do("undrain", "a");
    await host.untilState("a", "serving");
    await occupy(host);
    await host.uninstall("a", "1");
    await host.untilState("a", "draining");
    await assert.rejects(host.do("drain", "a"), refused, "an order drains it already");
    assert.equal((await host.slot("a")).state, "draining");
  });

  it("waits for the withdrawal while the bus is away, and can be taken back meanwhile", async () => {
    const host = await serving();
    const pids = await host.pids("a");
    await hosts.nats.kill();
    try {
      await until("the loss is noticed", async () => !(await host.status()).bus.connected);
      await host.do("drain", "a");
      const waiting = ({ progress }: { progress: { step: string } | null }) =>
        progress?.step === "waiting for withdrawal";
      await host.untilSlot("a", "waits for the withdrawal", waiting);
      await host.do("undrain", "a");
      await host.untilState("a", "serving");
      await host.do("drain", "a");
      await host.untilSlot("a", "waits for the withdrawal again", waiting);
    } finally {
      await hosts.nats.restart();
    }
    const status = await host.untilSlot("a", "is drained", ({ lastDrain }) => lastDrain !== null);
    assert.equal(status.lastDrain?.edges, "paused");
    assert((status.lastDrain?.revision ?? 0) > 0);
    assert.equal((await host.member("a"))?.status, "STOPPING");
    assert.deepEqual(await host.pids("a"), pids);
  });

  it("ends sooner by a second SIGTERM to the agent, which records what was cut", async () => {
    const host = await serving({ app: { stop_grace_ms: 200 }, drain: { timeout_ms: 60_000 } });
    await occupy(host);
    const ended = host.endAgent("SIGTERM");
    await host.untilSlot("a", "waits for requests", ({ progress }) => progress?.step === "waiting for requests");
    process.kill(host.agentPid, "SIGTERM");
    assert.equal(await ended, 0, host.log());
    const record = recordedDrain(host);
    assert.deepEqual([record.idle, record.cutRequests], ["forced", 1]);
    assert.match(record.reason ?? "", /told to end at once/);
    await assert.rejects(host.get("a"));
    assert.equal(await host.member("a"), null);
  });
});

function recordedDrain(host: Host): DrainRecord {
  return JSON.parse(readFileSync(join(host.state, "journal.json"), "utf8")).slots.a.lastDrain;
}
