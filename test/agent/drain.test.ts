import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TcpConnection } from "../../agent/os/tcp-connections.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { getOver } from "../support/load/kept-connection.ts";
import { answer, type LongRequest, longRequests, type Pace } from "../support/load/long-requests.ts";
import { makeRelease } from "../support/release.ts";
import { tcpConnections } from "../support/tcp-connections.ts";
import { until } from "../support/until.ts";

const STREAMS = { app: { command: [process.execPath, "streams.mjs"], stop_grace_ms: 300 } };

describe("draining a version", () => {
  const hosts = useHosts();

  const serving = async (settings: Record<string, unknown> = {}, app = "app.mjs"): Promise<Host> => {
    const host = await hosts.start(settings);
    await host.installed("a", await makeRelease(host.archives, "1", { app }));
    return host;
  };
  const at = (host: Host) => ({ host: host.address, port: host.ports.a as number });
  const begun = async (requests: LongRequest[]) => {
    for (const { abandon } of requests) hosts.onEnd(abandon);
    await Promise.all(requests.map((long) => long.begun));
    return requests;
  };
  const ends = (requests: LongRequest[]) => Promise.all(requests.map(async ({ what, end }) => `${what}: ${await end}`));

  it("waits for a slow upload, a long download, server-sent events and a WebSocket", async () => {
    const host = await serving({ ...STREAMS, drain: { quiet_ms: 1_000 } }, "streams.mjs");
    const pace: Pace = { times: 30, everyMs: 40 };
    const requests = await begun(longRequests(at(host), pace));
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(await ends(requests), ["upload: whole", "/download: whole", "/events: whole", "WebSocket: whole"]);
    assert.equal(status.order?.outcome, "done");
    assert.equal(status.lastDrain?.idle, "idle");
    assert.equal(status.lastDrain?.cutRequests, 0);
    assert((status.lastDrain?.durationMs ?? 0) > 900, JSON.stringify(status.lastDrain));
  });

  it("cuts them at the order's drain timeout, and records that and how many", async () => {
    const host = await serving({ ...STREAMS, drain: { quiet_ms: 1_000, timeout_ms: 60_000 } }, "streams.mjs");
    const requests = await begun(longRequests(at(host), { times: 1_000_000, everyMs: 40 }));
    const status = await host.untilOrder("a", await host.uninstall("a", "1", { drainTimeoutMs: 700 }));
    assert.deepEqual(await ends(requests), ["upload: cut", "/download: cut", "/events: cut", "WebSocket: cut"]);
    assert.equal(status.order?.outcome, "done");
    const { edges, idle, cutRequests, idleConnections, durationMs = 0 } = status.lastDrain ?? {};
    assert.deepEqual([edges, idle, cutRequests, idleConnections], ["paused", "timeout", 4, 0]);
    assert(durationMs >= 700 && durationMs < 30_000, `${durationMs}`);
    assert(status.lastEnd?.reason === "killed", JSON.stringify(status.lastEnd));
  });

  it("is not held up by idle keep-alive connections, counts them, and leaves their closing to the app", async () => {
    const host = await serving({ drain: { timeout_ms: 30_000 } });
    const agent = new Agent({ keepAlive: true });
    hosts.onEnd(() => agent.destroy());
    const sockets = await Promise.all([1, 2, 3].map(() => getOver(agent, at(host))));
    assert.equal(new Set(sockets).size, 3);
    const closed = sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    const { idle, idleConnections, cutRequests } = status.lastDrain ?? {};
    assert.deepEqual([idle, idleConnections, cutRequests], ["idle", 3, 0]);
    assert.deepEqual(await Promise.all(closed), [false, false, false], "no connection was reset");
  });

  it("does not take a slow request for idle, on a fresh connection or on a used one", async () => {
    const host = await serving();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    hosts.onEnd(() => agent.destroy());
    await getOver(agent, at(host));
    await host.untilSlot("a", "is idle", ({ connections }) => connections?.open === 1 && connections.inFlight === 0);
    const slow = [getOver(agent, at(host), "/slow?ms=2000"), host.get("a", "/slow?ms=2000")];
    await host.untilSlot("a", "has both requests", ({ connections }) => connections?.inFlight === 2);
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    await Promise.all(slow);
    assert.deepEqual([status.lastDrain?.idle, status.lastDrain?.cutRequests], ["idle", 0]);
    assert((status.lastDrain?.durationMs ?? 0) > 1_500, JSON.stringify(status.lastDrain));
  });

  it("waits until nothing has moved for quiet_ms, and no longer", async () => {
    const host = await serving(
      { ...STREAMS, drain: { quiet_ms: 1_200, pause_ms: 0, timeout_ms: 3_000 } },
      "streams.mjs",
    );
    // It spoke once, and is silent from then on: for all that the kernel knows, the app has had the last word.
    const [silent] = await begun([answer("/events", at(host), { times: 2, everyMs: 3_600_000 })]);
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    const { idle, idleConnections, cutUpgraded, durationMs = 0 } = status.lastDrain ?? {};
    // Told to end, the app keeps it open: it is no idle connection.
    assert.deepEqual([idle, idleConnections, cutUpgraded], ["idle", 0, 1]);
    assert(durationMs >= 1_000 && durationMs < 3_000, `${durationMs}`);
    assert.equal(await silent?.end, "cut");
  });

  it("waits for nothing where an order forces it, and records the reason", async () => {
    const host = await serving({ app: { stop_grace_ms: 200 }, drain: { pause_ms: 30_000, timeout_ms: 60_000 } });
    const cut = assert.rejects(host.get("a", "/slow?ms=60000"));
    await host.untilSlot("a", "has a request", ({ connections }) => connections?.inFlight === 1);
    const reason = "it corrupts data";
    const status = await host.untilOrder("a", await host.uninstall("a", "1", { force: true, reason }));
    await cut;
    assert.equal(status.order?.outcome, "done");
    const { edges, idle, cutRequests, reason: recorded } = status.lastDrain ?? {};
    assert.deepEqual([edges, idle, cutRequests, recorded], ["forced", "forced", 1, reason]);
    const event = (await host.events()).find(({ kind, facts }) => kind === "drain" && facts?.idle === "forced");
    assert.equal(event?.facts?.reason, reason);
  });

  it("is not held up by a probe that hangs", async () => {
    const host = await hosts.create();
    const control = join(host.directory, "health.txt");
    host.configure({
      app: { command: [process.execPath, "awkward.mjs"], environment: { CONTROL_FILE: control } },
      health: { timeout_ms: 60_000 },
    });
    await host.startAgent();
    await host.installed("a", await makeRelease(host.archives, "1", { app: "awkward.mjs" }));
    writeFileSync(control, "hang");
    await until("the probe hangs", () => tcpConnections(host.bind, host.ports.a as number).some(isOld));
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    const { idle, idleConnections, cutRequests } = status.lastDrain ?? {};
    assert.deepEqual([idle, idleConnections, cutRequests], ["idle", 0, 0]);
  });
});

const isOld = ({ lastReceivedMs }: TcpConnection) => lastReceivedMs > 300;
