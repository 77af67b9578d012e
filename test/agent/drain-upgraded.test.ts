import assert from "node:assert/strict";
import { Agent } from "node:http";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { Edge } from "../support/edge.ts";
import { FleetMembers } from "../support/fleet/members.ts";
import { getOver } from "../support/load/kept-connection.ts";
import { type LongRequest, webSocket } from "../support/load/long-requests.ts";
import { Haproxy } from "../support/proxies/haproxy.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

/** Says nothing after the handshake. */
const QUIET = { times: 1_000_000, everyMs: 3_600_000 };
const HOUR_MS = 3_600_000;
/** Within this, also a busy machine's app has heeded the stop signal. */
const GRACE_MS = 2_000;
const BOUND_MS = 6_000;
const WAITING = "waiting for upgraded connections";

describe("a quiet WebSocket on a version that is removed", () => {
  const hosts = useHosts();

  const serving = async (drain: Record<string, unknown>, ...mode: string[]): Promise<Host> => {
    const app = { command: [process.execPath, "streams.mjs", ...mode], stop_grace_ms: GRACE_MS, workers: 2 };
    const host = await hosts.start({ app, drain: { quiet_ms: 100, ...drain } }, { bind: "127.0.0.41" });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "streams.mjs" }));
    return host;
  };
  const at = (host: Host) => ({ host: host.address, port: host.ports.a as number });
  const quietWebSocket = async (to: { host: string; port: number }): Promise<LongRequest> => {
    const open = webSocket(to, QUIET);
    hosts.onEnd(open.abandon);
    await open.begun;
    return open;
  };
  /** An ordinary keep-alive connection; tells whether it was reset. */
  const keptAlive = async (to: { host: string; port: number }) => {
    const agent = new Agent({ keepAlive: true });
    hosts.onEnd(() => agent.destroy());
    const socket = await getOver(agent, to);
    return new Promise<boolean>((resolve) => socket.once("close", resolve));
  };
  const untilQuiet = (host: Host, open: number) =>
    host.untilSlot("a", "is quiet", ({ connections }) => connections?.open === open && connections.inFlight === 0);
  const untilWaiting = (host: Host) =>
    host.untilSlot("a", "waits for it", ({ progress }) => progress?.step === WAITING);

  it("lives until the drain's time is up, and is counted as an upgraded connection that was cut", async () => {
    const host = await serving({});
    const [open, closed] = [await quietWebSocket(at(host)), keptAlive(at(host))];
    await untilQuiet(host, 2);
    const began = performance.now();
    const id = await host.uninstall("a", "1", { drainTimeoutMs: BOUND_MS });
    const { progress, lastDrain: before } = await untilWaiting(host);
    assert.deepEqual([progress?.total, progress?.done, progress?.unit], [1, 0, "connections"]);
    assert.deepEqual([before?.idle, before?.cutUpgraded], ["idle", 0]);
    assert.equal(await closed, false, "the idle connection was closed by the app, and not reset");
    assert.equal(await open.end, "cut");
    assert(performance.now() - began >= BOUND_MS, "it was cut when its time was up");
    const { lastDrain, order } = await host.untilOrder("a", id);
    assert.equal(order?.outcome, "done");
    const { idle, idleConnections, cutUpgraded, cutRequests } = lastDrain ?? {};
    assert.deepEqual([idle, idleConnections, cutUpgraded, cutRequests], ["idle", 1, 1, 0]);
    const event = (await host.events()).find(({ kind, facts }) => kind === "drain" && facts?.cutUpgraded === 1);
    assert.match(event?.message ?? "", /^1: 1 upgraded connection was cut$/);
  });

  it("is waited for no longer than until its client ends it, and was not cut then", async () => {
    const host = await serving({ timeout_ms: HOUR_MS });
    const open = await quietWebSocket(at(host));
    await untilQuiet(host, 1);
    const id = await host.uninstall("a", "1");
    await untilWaiting(host);
    open.abandon();
    const { lastDrain } = await host.untilOrder("a", id);
    assert.deepEqual([lastDrain?.idle, lastDrain?.cutUpgraded, lastDrain?.cutRequests], ["idle", 0, 0]);
  });

  it("is cut at once where an order forces the removal", async () => {
    const host = await serving({ timeout_ms: HOUR_MS });
    const open = await quietWebSocket(at(host));
    await untilQuiet(host, 1);
    await host.uninstall("a", "1");
    await untilWaiting(host);
    const { lastDrain } = await host.untilOrder("a", await host.uninstall("a", "1", { force: true, reason: "a leak" }));
    assert.equal(await open.end, "cut");
    assert.deepEqual([lastDrain?.cutUpgraded, lastDrain?.idleConnections], [1, 0]);
  });

  it("is cut at once where the agent is told a second time to end", async () => {
    const host = await serving({ timeout_ms: HOUR_MS });
    const open = await quietWebSocket(at(host));
    await untilQuiet(host, 1);
    process.kill(host.agentPid, "SIGTERM");
    await untilWaiting(host);
    await host.endAgent("SIGTERM");
    assert.equal(await open.end, "cut");
  });

  it("is left to the workers by an agent that ends without them", async () => {
    const host = await serving({ timeout_ms: HOUR_MS });
    const open = await quietWebSocket(at(host));
    await untilQuiet(host, 1);
    const id = await host.uninstall("a", "1");
    await untilWaiting(host);
    await host.endAgent("SIGUSR2");
    const over = await Promise.race([open.end, new Promise((resolve) => setImmediate(resolve, "open"))]);
    assert.equal(over, "open");
    await host.startAgent();
    assert.equal((await host.untilOrder("a", id)).order?.outcome, "done");
  });

  it("is not confused with ordinary idle connections, which delay nothing", async () => {
    const host = await serving({ timeout_ms: HOUR_MS });
    const closed = [keptAlive(at(host)), keptAlive(at(host))];
    await untilQuiet(host, 2);
    const { lastDrain } = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual([lastDrain?.idle, lastDrain?.idleConnections, lastDrain?.cutUpgraded], ["idle", 2, 0]);
    assert.deepEqual(await Promise.all(closed), [false, false]);
  });

  it("does not keep workers that hang from being ended after their grace", async () => {
    const host = await serving({ timeout_ms: HOUR_MS });
    const open = await quietWebSocket(at(host));
    await untilQuiet(host, 1);
    for (const pid of await host.pids("a")) process.kill(pid, "SIGSTOP");
    const { order } = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(order?.outcome, "done");
    assert.equal(await open.end, "cut");
  });

  it("ends with an app that ends at once, unless the drain waits until all connections are closed", async () => {
    const host = await serving({ until: "closed", timeout_ms: HOUR_MS }, "abrupt");
    const open = await quietWebSocket(at(host));
    await untilQuiet(host, 1);
    const id = await host.uninstall("a", "1");
    const waiting = await host.untilSlot("a", "waits", ({ progress }) => progress?.step === "waiting for connections");
    assert.equal(waiting.state, "draining");
    await host.installed("b", await makeRelease(host.archives, "2", { app: "streams.mjs" }));
    assert.equal((await host.slot("a")).state, "draining", "another slot's whole install later it still waits");
    open.abandon();
    const { lastDrain } = await host.untilOrder("a", id);
    assert.deepEqual([lastDrain?.idle, lastDrain?.idleConnections, lastDrain?.cutUpgraded], ["idle", 0, 0]);
  });

  it("lives as long through HAProxy", async () => {
    const host = await serving({});
    await host.installed("b", await makeRelease(host.archives, "2", { app: "streams.mjs" }));
    const proxy = await Haproxy.start({ address: "127.0.0.42" });
    hosts.onEnd(() => proxy.stop());
    const edge = await Edge.start({ nats: hosts.nats.url, proxy: { ...proxy.config }, url: proxy.url });
    hosts.onEnd(() => edge.close());
    const routes = await FleetMembers.open(hosts.nats.url);
    hosts.onEnd(() => routes.close());
    await edge.untilAcknowledged({ routes: await routes.routes({ default: "1", serving: ["1", "2"] }) });
    const through = { host: proxy.address, port: proxy.port };
    const open = await until("HAProxy has the endpoint", () => quietWebSocket(through));
    await keptAliveOnce(through);
    await host.untilSlot("a", "has the connection", ({ connections }) => (connections?.open ?? 0) > 0);
    await edge.untilAcknowledged({ routes: await routes.routes({ default: "2", serving: ["2"] }) });

    const began = performance.now();
    const id = await host.uninstall("a", "1", { drainTimeoutMs: BOUND_MS });
    assert.equal((await untilWaiting(host)).progress?.total, 1);
    assert.equal(await open.end, "cut");
    assert(performance.now() - began >= BOUND_MS, "it was cut when its time was up");
    const { lastDrain } = await host.untilOrder("a", id);
    const { edges, idle, cutUpgraded, cutRequests } = lastDrain ?? {};
    assert.deepEqual([edges, idle, cutUpgraded, cutRequests], ["acked", "idle", 1, 0]);
  });

  /** A request whose connection to the app the proxy keeps. */
  const keptAliveOnce = async (to: { host: string; port: number }) =>
    assert.equal((await fetch(`http://${to.host}:${to.port}/`)).status, 200);
});
