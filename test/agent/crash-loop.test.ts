import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { until } from "../support/until.ts";
import { lasts, OrderedHost } from "./workers/ordered-host.ts";

describe("a version whose workers crash again and again", () => {
  const hosts = useHosts();
  const CRASH_LOOP = { ends: 3, within_ms: 30_000 };

  const serving = async (settings: object = {}) => {
    const ordered = await OrderedHost.start(hosts, "crashes.mjs", {
      crash_loop: CRASH_LOOP,
      app: { restart_backoff_max_ms: 200 },
      ...settings,
    });
    const release = await ordered.installed("a", "1");
    return { ordered, host: ordered.host, release };
  };
  const untilVerdict = ({ host }: OrderedHost) =>
    host.untilSlot(
      "a",
      "has failed, and nothing of it runs",
      ({ state, socket }) => state === "failed" && socket === "none",
    );

  it("is taken away, and nothing is tried again, also by the next agent; the other slot is not touched", async () => {
    const { ordered, host } = await serving();
    await ordered.installed("b", "2");
    const standing = await ordered.pids("b");
    ordered.order("crash-a");
    const { lastError, workers, socket } = await untilVerdict(ordered);
    assert.equal(lastError?.code, "CRASH_LOOP");
    assert.match(lastError?.message ?? "", /ended \d+ times within 30000 ms; the last one: worker \d .* exit code 9/);
    assert.deepEqual([workers.alive, workers.ready, socket], [0, 0, "none"]);
    await until("the member is withdrawn", async () => (await host.member("a")) === null);
    const event = (await host.events()).find(({ code }) => code === "CRASH_LOOP");
    assert.deepEqual([event?.slot, event?.kind, event?.version], ["a", "error", "1"]);
    await assert.rejects(host.get("a"), /fetch failed/);
    const starts = () => host.log().split('"worker was started"').length;
    const before = starts();
    await lasts(1_000, "nothing is tried again", async () => (await host.slot("a")).state === "failed");
    assert.equal(starts(), before);

    await ordered.nextAgent();
    ordered.takeBack("crash-a");
    await ordered.untilReady("b");
    const after = await host.untilState("a", "failed");
    assert.deepEqual([after.lastError?.code, after.version], ["CRASH_LOOP", "1"]);
    await lasts(1_000, "nothing is tried again", async () => (await host.slot("a")).state === "failed");
    assert.equal(starts(), before);
    assert.deepEqual(await ordered.pids("b"), standing);
    assert.deepEqual(leftProcesses(host.state).sort(), [...standing].sort());
  });

  it("says its last words in the verdict, and is left by a restart or an order, for the same version or another", async () => {
    const { ordered, host, release } = await serving();
    const verdict = async () => {
      ordered.order("crash");
      const { lastError } = await untilVerdict(ordered);
      assert.match(
        lastError?.message ?? "",
        /^the workers ended \d+ times .*exit code 9.*the database has another schema/,
      );
      ordered.takeBack("crash");
    };
    await verdict();
    await host.do("restart", "a");
    await ordered.untilReady();
    await until("it is registered again", async () => (await host.member("a"))?.metadata.capacity === "2");

    await verdict();
    await host.installed("a", release);
    assert.equal((await ordered.untilReady()).lastError, null);

    await verdict();
    // Nothing of a verdict is left over for the agent that starts next.
    await ordered.installed("a", "2");
    await ordered.nextAgent();
    assert.equal((await ordered.untilReady()).version, "2");

    await verdict();
    const { state, order } = await host.untilOrder("a", await host.uninstall("a", "2"));
    assert.deepEqual([state, order?.outcome], ["empty", "done"]);
  });

  it("is none where only some of its workers do", async () => {
    const { ordered, host } = await serving({ app: { workers: 6, restart_backoff_max_ms: 60 } });
    const [first, ...others] = await ordered.pids();
    ordered.order("crash-a-0");
    const many = CRASH_LOOP.ends * 3 + 3;
    await host.untilSlot("a", "has crashed often enough", ({ workers }) => workers.restarts >= many);
    assert.equal((await host.slot("a")).state, "serving");
    assert.deepEqual(
      (await ordered.pids()).filter((pid) => others.includes(pid)),
      others,
    );
    await until("the capacity says so", async () => (await host.member("a"))?.metadata.capacity === "2");
    ordered.takeBack("crash-a-0");
    await ordered.untilReady("a", 3);
    assert(!(await ordered.pids()).includes(first as number));
  });

  it("does not get in the way of the order that removes it, or puts another in its place", async () => {
    const { ordered, host } = await serving({ drain: { pause_ms: 1_500 } });
    ordered.order("crash-a-0");
    ordered.order("crash-a-1");
    const next = await ordered.release("2");
    const id = await host.install("a", next);
    await host.untilState("a", "draining");
    const many = ({ workers }: { workers: { restarts: number } }) => workers.restarts >= 2 * CRASH_LOOP.ends;
    await host.untilSlot("a", "has crashed often enough", many);
    ordered.takeBack("crash-a-0");
    ordered.takeBack("crash-a-1");
    const { order, version } = await host.untilOrder("a", id);
    assert.deepEqual([order?.outcome, version], ["done", "2"]);
    assert(!(await host.events()).some(({ code }) => code === "CRASH_LOOP"));

    const removal = await host.uninstall("a", "2");
    await host.untilState("a", "draining");
    ordered.order("crash");
    const removed = await host.untilOrder("a", removal);
    assert.deepEqual([removed.order?.outcome, removed.state], ["done", "empty"]);
    assert(!(await host.events()).some(({ code }) => code === "CRASH_LOOP"));
  });
});
