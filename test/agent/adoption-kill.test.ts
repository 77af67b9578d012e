import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { Load } from "../support/load/load.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

const KILLS = 10;
/** About as long as an order takes, so that every part of it is hit now and then. */
const LATEST_KILL_MS = 900;

describe("kill -9 of the agent", () => {
  const hosts = useHosts();

  /**
   * An install, another one in its place, an uninstall, and so on: each passes through fetch, start, drain, stop or
   * removal.
   */
  const orderFor = async (host: Host, round: number) => {
    if (round % 3 === 2) return { id: await host.uninstall("a", `v${round - 1}`), version: null };
    const release = await makeRelease(host.archives, `v${round}`, { app: "app.mjs" });
    return { id: await host.install("a", release), version: release.version };
  };

  it("at any moment of an order costs the other slot nothing, and the order is completed", async () => {
    const host = await hosts.start();
    await host.installed("b", await makeRelease(host.archives, "b1", { app: "app.mjs" }));
    const pids = await host.pids("b");
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await until("b is registered", () => watch.alive().has("b"));
    const target = () => ({ host: host.address, port: host.ports.b as number });
    const loads = [
      new Load({ target, keepAlive: true, clients: 2 }),
      new Load({ target, keepAlive: true, clients: 1, method: "POST" }),
      new Load({ target, clients: 1, method: "POST" }),
    ];
    hosts.onEnd(() => Promise.all(loads.map((load) => load.stop())));

    for (let round = 0; round < KILLS; round++) {
      const { id, version } = await orderFor(host, round);
      const killAfterMs = Math.random() * LATEST_KILL_MS;
      // Not a wait for something: the moment of the kill is what the test draws by lot.
      await sleep(killAfterMs);
      const { state } = await host.slot("a");
      await host.killAgent();
      await host.startAgent();
      // An agent that has just been started answers before it has taken over what it finds.
      await host.untilState("b", "serving");
      await host.untilOrder("a", id);
      const status = await host.untilState("a", version === null ? "empty" : "serving");
      const drawn = `round ${round}, killed after ${killAfterMs.toFixed()} ms in ${state}: ${JSON.stringify(status)}`;
      assert.equal(status.order?.outcome, "done", drawn);
      assert.equal(status.version, version, drawn);
      if (version !== null) assert.equal((await host.get("a")).version, version, drawn);
      assert.deepEqual(await host.pids("b"), pids, drawn);
    }

    await Promise.all(loads.map((load) => load.stop()));
    for (const load of loads) {
      assert.deepEqual(load.failures, []);
      assert(load.requests > 200);
    }
    const said = watch.of("b");
    assert(
      said.every((member) => member?.status === "ALIVE" && member.metadata.capacity === "2"),
      JSON.stringify(said),
    );
  });
});
