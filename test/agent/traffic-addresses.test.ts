import assert from "node:assert/strict";
import { Agent } from "node:http";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { getOver } from "../support/load/kept-connection.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

/** Drains count by what the kernel says; so they must hold for each kind of address, and for an app in any language. */
describe("a drain on other addresses, and of an app in another language", () => {
  const hosts = useHosts();

  const drainsAround = async (host: Host, url: string) => {
    const slow = fetch(`${url}/slow?ms=1200`, { headers: { connection: "close" } });
    await host.untilSlot("a", "has a request", ({ connections }) => connections?.inFlight === 1);
    const { lastDrain, order } = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal((await slow).status, 200);
    assert.equal(order?.outcome, "done");
    assert.deepEqual([lastDrain?.idle, lastDrain?.cutRequests], ["idle", 0]);
    assert((lastDrain?.durationMs ?? 0) > 800, JSON.stringify(lastDrain));
    await assert.rejects(fetch(url), "the port is closed");
  };
  const serving = async (bind: string) => {
    const host = await hosts.start({ advertise: "192.0.2.7" }, { bind });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "app.mjs" }));
    return host;
  };

  it("waits for a request over IPv6", async () => {
    const host = await serving("::1");
    await drainsAround(host, `http://[::1]:${host.ports.a}`);
  });

  it("waits for a request over IPv4 where both families are served", async () => {
    const host = await serving("::");
    await drainsAround(host, `http://127.0.0.1:${host.ports.a}`);
  });

  it("waits for a request over IPv6 where both families are served", async () => {
    const host = await serving("::");
    await drainsAround(host, `http://[::1]:${host.ports.a}`);
  });

  it("waits for a request on any IPv4 address", async () => {
    const host = await serving("0.0.0.0");
    await drainsAround(host, `http://127.0.0.7:${host.ports.a}`);
  });

  it("tells a request from an idle connection in a Python app, and takes its workers over", async () => {
    const host = await hosts.start({ app: { command: ["python3", "serve.py"], stop_grace_ms: 1_000 } });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "serve.py" }));
    const before = { pids: await host.pids("a"), member: await host.member("a") };
    assert.equal(before.pids.length, 2);
    const said: unknown[] = [];
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    watch.changed(() => said.push(watch.members.get("a") ?? null));

    await host.killAgent();
    await host.startAgent();
    await host.untilSlot("a", "is ready", ({ workers }) => workers.ready === 2);
    await until("the agent has said so", () => said.length >= 1);
    assert.deepEqual(await host.pids("a"), before.pids);
    for (const member of said) assert.deepEqual(member, before.member);

    // Idle, on a connection that is kept.
    const agent = new Agent({ keepAlive: true });
    hosts.onEnd(() => agent.destroy());
    await getOver(agent, { host: host.address, port: host.ports.a as number });
    await host.untilSlot("a", "has an idle one", ({ connections }) => connections?.open === 1 && !connections.inFlight);
    await drainsAround(host, `http://127.0.0.1:${host.ports.a}`);
    assert.equal((await host.slot("a")).lastDrain?.idleConnections, 1);
  });
});
