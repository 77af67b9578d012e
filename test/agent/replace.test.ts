import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

describe("replacing versions on one host", () => {
  const hosts = useHosts();

  it("keeps B's processes, port and registration while C takes A's place", async () => {
    const host = await hosts.start();
    const [a, b, c] = await Promise.all(
      ["1.0.0", "2.0.0", "3.0.0"].map((version) => makeRelease(host.archives, version, { app: "app.mjs" })),
    );
    assert(a && b && c);
    await host.installed("a", a);
    await host.installed("b", b);
    const before = { pids: await host.pids("b"), member: await host.member("b"), since: (await host.slot("b")).since };
    assert.equal(before.pids.length, 2);
    assert.equal(before.member?.metadata.capacity, "2");
    assert.equal(before.member?.serviceEndpoint.port, host.ports.b);

    await host.installed("a", c);

    assert.deepEqual(await host.pids("b"), before.pids);
    assert.deepEqual(await host.member("b"), before.member);
    assert.equal((await host.slot("b")).since, before.since);
    const slot = await host.slot("a");
    assert.equal(slot.version, "3.0.0");
    assert.equal(slot.lastDrain?.version, "1.0.0");
    assert.equal(slot.lastDrain?.idle, "idle");
    assert.equal((await host.get("a")).version, "3.0.0");
    assert.equal((await host.member("a"))?.metadata.version, "3.0.0");
  });

  it("gives a worker the environment that it was promised", async () => {
    const host = await hosts.start({ app: { environment: { COLOUR: "blue" } } });
    await host.installed("b", await makeRelease(host.archives, "7", { app: "app.mjs" }));
    const { env, pid } = await host.get("b");
    assert.equal(env.COLOUR, "blue");
    assert.equal(env.PORT, String(host.ports.b));
    assert.equal(env.SLOTD_SLOT, "b");
    assert.equal(env.SLOTD_VERSION, "7");
    assert.equal(env.LISTEN_FDS, "1");
    assert.equal(env.LISTEN_PID, String(pid));
  });

  it("withdraws, drains and removes a version on an uninstall, and leaves the port free", async () => {
    const host = await hosts.start();
    await host.installed("a", await makeRelease(host.archives, "1", { app: "app.mjs" }));
    const slow = host.get("a", "/slow?ms=800");
    await host.untilSlot("a", "has a request in flight", (slot) => slot.connections?.inFlight === 1);

    const status = await host.untilOrder("a", await host.uninstall("a", "1"));

    assert.equal((await slow).version, "1");
    assert.equal(status.state, "empty");
    assert.equal(status.version, null);
    assert.equal(status.lastDrain?.idle, "idle");
    assert.equal(status.lastDrain?.cutRequests, 0);
    await until("the member is withdrawn", async () => (await host.member("a")) === null);
    await assert.rejects(fetch(host.url("a")));
  });
});
