import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leftProcesses } from "../../support/agent/host.ts";
import { useHosts } from "../../support/agent/hosts.ts";
import { until } from "../../support/until.ts";
import { lasts, OrderedHost, replacesHungWorker } from "./ordered-host.ts";

describe("workers that have to be heard of", () => {
  const hosts = useHosts();
  const TIMEOUT_MS = 1_000;
  const WATCHED = { watchdog: { timeout_ms: TIMEOUT_MS } };
  const PINGS = { PING_MS: "200" };

  it("live on for as long as they are, also while the agent stands still, and over its end", async () => {
    const ordered = await OrderedHost.start(hosts, "tells.py", WATCHED, PINGS);
    const { host } = ordered;
    await ordered.installed("a", "1");
    const pids = await ordered.pids();
    const { pid, env } = await host.get<{ pid: number; env: Record<string, string> }>("a");
    assert.deepEqual([env.WATCHDOG_USEC, env.WATCHDOG_PID], ["1000000", String(pid)]);
    const same = async () => (await ordered.pids()).join() === pids.join();
    await lasts(2.2 * TIMEOUT_MS, "they live", same);
    process.kill(host.agentPid, "SIGSTOP");
    await lasts(2.5 * TIMEOUT_MS, "they live without being heard", () => leftProcesses(host.state).length === 2);
    process.kill(host.agentPid, "SIGCONT");
    await lasts(1.5 * TIMEOUT_MS, "they live", same);
    await ordered.nextAgent();
    await ordered.untilReady();
    await lasts(2 * TIMEOUT_MS, "they live with the next agent", same);
    assert(!(await host.events()).some(({ facts }) => facts?.reason === "hung"));
    ordered.order("mute-1");
    await until("the one that went silent is replaced", async () => !(await same()));
    assert.equal((await host.slot("a")).lastEnd?.reason, "hung");
    assert.equal((await ordered.pids())[0], pids[0]);
  });

  it("are not ended by a rule that they were not told of", async () => {
    const ordered = await OrderedHost.start(hosts, "tells.py", { readiness: { by: "notify" } }, { TELL: "ready" });
    await ordered.installed("a", "1");
    const pids = await ordered.pids();
    ordered.reconfigure(WATCHED);
    await ordered.nextAgent();
    await ordered.untilReady();
    await lasts(1.5 * TIMEOUT_MS, "they live", async () => (await ordered.pids()).join() === pids.join());
  });

  it("are aborted when they are not, then killed, and replaced; the others and the requests go on", async () => {
    const ordered = await OrderedHost.start(
      hosts,
      "tells.py",
      // The next one must not come before the order to hang is taken back.
      {
        ...WATCHED,
        app: { stop_grace_ms: 700, workers: 6, restart_backoff_min_ms: 2_000, restart_backoff_max_ms: 2_000 },
      },
      { ...PINGS, STUBBORN: "1" },
    );
    await ordered.installed("a", "1");
    await replacesHungWorker(hosts, ordered, "hung", "SIGKILL");
  });

  it("can ask for it themselves: WATCHDOG=trigger", async () => {
    const ordered = await OrderedHost.start(hosts, "tells.py", WATCHED, PINGS);
    const { host } = ordered;
    await ordered.installed("a", "1");
    const [first, second] = await ordered.pids();
    await ordered.say(1, "WATCHDOG=trigger");
    const { lastEnd } = await host.untilSlot("a", "has ended it", (slot) => slot.lastEnd !== null);
    assert.deepEqual([lastEnd?.pid, lastEnd?.reason, lastEnd?.signal], [second, "hung", "SIGABRT"]);
    await ordered.untilReady();
    assert.equal((await ordered.pids())[0], first);
  });
});
