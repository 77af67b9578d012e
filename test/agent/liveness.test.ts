import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { until } from "../support/until.ts";
import { lasts, OrderedHost, replacesHungWorker } from "./workers/ordered-host.ts";

const PROBED = { path: "/alive", interval_ms: 100, timeout_ms: 300, rise: 2, fall: 3 };

describe("workers whose liveness is probed", () => {
  const hosts = useHosts();

  const serving = async (liveness: object = PROBED, settings: object = {}) => {
    const ordered = await OrderedHost.start(hosts, "alive.mjs", { liveness, ...settings });
    await ordered.installed("a", "1");
    return ordered;
  };

  it("serve a socket of their own, which is theirs alone and goes with them", async () => {
    const ordered = await serving();
    const { host } = ordered;
    const { fds, names } = await host.get<{ fds: string; names: string }>("a");
    assert.deepEqual([fds, names], ["2", "http:liveness"]);
    await until("they have come up", () => ordered.signs().join() === "a-0.live,a-1.live");
    for (const name of readdirSync(ordered.sockets))
      assert.equal(statSync(join(ordered.sockets, name)).mode & 0o777, 0o600);
    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(ordered.signs(), []);
  });

  it("are found when they hang while the others serve, and replaced; no request fails", async () => {
    const ordered = await serving(PROBED, { app: { workers: 6, stop_grace_ms: 1_000 } });
    await replacesHungWorker(hosts, ordered, "unhealthy", "SIGABRT");
  });

  it("are not ended by fewer bad answers in a row than fall says", async () => {
    const ordered = await serving({ ...PROBED, fall: 100 });
    const pids = await ordered.pids();
    ordered.order("sick");
    await lasts(1_500, "they live, and are ready", async () => {
      const { workers } = await ordered.host.slot("a");
      return workers.ready === 2 && (await ordered.pids()).join() === pids.join();
    });
  });

  it("and never answer, fail the install in time, and the other slot serves on", async () => {
    const ordered = await serving(PROBED, { readiness: { timeout_ms: 1_500 } });
    const { host } = ordered;
    const pids = await ordered.pids();
    ordered.order("ignore");
    const { state, order, lastError } = await host.untilOrder("b", await host.install("b", await ordered.release("2")));
    assert.deepEqual([state, order?.outcome, lastError?.code], ["failed", "failed", "NOT_READY"]);
    assert.match(lastError?.message ?? "", /0 of 2 workers were ready after 1500 ms/);
    assert.deepEqual(await ordered.pids(), pids);
    assert.deepEqual(leftProcesses(host.state).sort(), [...pids].sort());
    await until("nothing is left of it", () => ordered.signs().join() === "a-0.live,a-1.live");
  });

  it("may take as long for their start as a start may take, also when the agent ends meanwhile", async () => {
    const ordered = await OrderedHost.start(hosts, "alive.mjs", { liveness: { ...PROBED, timeout_ms: 50, fall: 1 } });
    const { host } = ordered;
    ordered.order("late");
    const id = await host.install("a", await ordered.release("1"));
    await until("both run", () => leftProcesses(host.state).length === 2);
    const pids = leftProcesses(host.state).sort();
    await ordered.nextAgent();
    assert.equal((await host.untilOrder("a", id)).order?.outcome, "done");
    assert.deepEqual((await ordered.pids()).sort(), pids);
    assert.equal((await host.slot("a")).workers.restarts, 0);
  });

  it("are probed by the next agent as well, and left alone where that does not want it", async () => {
    const ordered = await serving();
    const { host } = ordered;
    const [first, second] = await ordered.pids();
    await ordered.nextAgent();
    await ordered.untilReady();
    assert.deepEqual(await ordered.pids(), [first, second]);
    ordered.order("sick-1");
    const { lastEnd } = await host.untilSlot("a", "has ended it", (slot) => slot.lastEnd !== null);
    ordered.takeBack("sick-1");
    assert.deepEqual([lastEnd?.pid, lastEnd?.reason], [second, "unhealthy"]);
    await ordered.untilReady();
    await until("nothing is left of it", () => ordered.signs().join() === "a-0.live,a-1.live");

    const pids = await ordered.pids();
    ordered.reconfigure({ liveness: {} });
    await ordered.nextAgent();
    await ordered.untilReady();
    ordered.order("sick");
    await lasts(1_000, "they live", async () => (await ordered.pids()).join() === pids.join());
    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(ordered.signs(), []);
  });

  it("are not asked for what they were not given", async () => {
    const ordered = await serving({});
    const pids = await ordered.pids();
    ordered.reconfigure({ liveness: PROBED });
    await ordered.nextAgent();
    await ordered.untilReady();
    await lasts(1_000, "they live", async () => (await ordered.pids()).join() === pids.join());
    process.kill(pids[0] as number, "SIGKILL");
    await until("the next one is probed", () => ordered.signs().includes("a-0.live"));
    await ordered.untilReady();
  });
});
