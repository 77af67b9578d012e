import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leftProcesses } from "../../support/agent/host.ts";
import { useHosts } from "../../support/agent/hosts.ts";
import { getOver } from "../../support/load/kept-connection.ts";
import { Load } from "../../support/load/load.ts";
import { until } from "../../support/until.ts";
import { heldWorkers, recyclingWorkers } from "./recycling.ts";

/** More writes of the journal than a replacement takes, twice. */
const ENOUGH = 20;

describe("workers that are being replaced", () => {
  const hosts = useHosts();

  for (const signal of ["SIGKILL", "SIGUSR2"] as const) {
    it(`are taken over, one for each seat, where ${signal} ends the agent meanwhile`, async () => {
      const { ordered, host, pids } = await recyclingWorkers(hosts);
      await host.endAgent(signal);
      await host.startAgent();
      await ordered.untilReady();
      await until("nobody is left over", () => leftProcesses(host.state).length === 2);
      assert.deepEqual(await ordered.pids(), pids);
      await until("nothing is left of the other", () => ordered.signs().join() === "a-0.notify,a-1.notify");
    });
  }

  it("make way for the next one where the agent is killed when that has taken over", async () => {
    const { ordered, host, pids } = await heldWorkers(hosts, { app: { stop_grace_ms: 2_500 } });
    const agent = new Agent({ keepAlive: true });
    hosts.onEnd(() => agent.destroy());
    const at = { host: host.address, port: host.ports.a as number };
    // As long as one of its clients stays, it does not end.
    await Promise.all(Array.from({ length: 12 }, () => getOver(agent, at)));
    ordered.order("ready");
    await ordered.say(0, "X_SLOTD_RECYCLE=1");
    await until("the next one has taken over", async () => (await ordered.pids())[0] !== pids[0]);
    const after = await ordered.pids();
    assert.equal(leftProcesses(host.state).length, 3, "the old one still has a client");
    await ordered.nextAgent();
    await ordered.untilReady();
    assert.deepEqual(await ordered.pids(), after);
    await until("the old one has gone", () => leftProcesses(host.state).length === 2);
  });

  it("end with the others where the agent is told to end", async () => {
    const { ordered, host } = await recyclingWorkers(hosts);
    assert.equal(await host.endAgent("SIGTERM"), 0);
    assert.deepEqual([leftProcesses(host.state), ordered.signs()], [[], []]);
    ordered.order("ready");
    await host.startAgent();
    await ordered.untilReady();
    assert.equal(leftProcesses(host.state).length, 2);
  });

  it("are one for each seat where the agent is killed at any write of its journal; no request fails", async () => {
    const module = new URL("../../support/agent/crash-at-journal.js", import.meta.url);
    const plan = join(tmpdir(), `slotd-crash-plan-${process.pid}-${Math.random().toString(36).slice(2)}`);
    hosts.onEnd(() => rmSync(plan, { force: true }));
    module.searchParams.set("plan", plan);
    const { ordered, host } = await heldWorkers(hosts, {}, ["--import", module.href]);
    ordered.order("ready");
    const target = () => ({ host: host.address, port: host.ports.a as number });
    const load = new Load({ target, clients: 2 });
    hosts.onEnd(() => load.stop());
    let crashes = 0;
    for (let nth = 1; nth < ENOUGH; nth++) {
      const [first] = await ordered.pids();
      writeFileSync(plan, `${nth % 2 === 0 ? "before" : "after"} ${Math.ceil(nth / 2)}`);
      await ordered.say(0, "X_SLOTD_RECYCLE=1");
      const crashed = await until("it was recycled, or the agent is dead", async () => {
        if (!existsSync(plan)) return "crashed";
        const recycled = (await host.events().catch(() => [])).some(({ message }) => /was recycled/.test(message));
        return recycled && "recycled";
      });
      rmSync(plan, { force: true });
      await ordered.nextAgent();
      await ordered.untilReady();
      await until("nobody is left over", () => leftProcesses(host.state).length === 2);
      assert.deepEqual(leftProcesses(host.state).sort(), (await ordered.pids()).sort());
      await until("nor anything", () => ordered.signs().join() === "a-0.notify,a-1.notify");
      if (crashed === "recycled") {
        assert.notEqual((await ordered.pids())[0], first);
        break;
      }
      crashes++;
    }
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert(load.requests > 100);
    // Before and after one write at the least: later ones may come when the replacing has been told already.
    assert(crashes >= 2 && crashes < ENOUGH - 1, `there were ${crashes} crashes`);
  });
});
