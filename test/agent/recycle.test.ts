import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { Load } from "../support/load/load.ts";
import { until } from "../support/until.ts";
import { lasts, OrderedHost } from "./workers/ordered-host.ts";
import { heldWorkers, recyclingWorkers } from "./workers/recycling.ts";

const NEVER = 1_000_000_000;
const MIB = 1024 ** 2;

describe("workers that are due to be replaced", () => {
  const hosts = useHosts();

  const held = (settings?: object) => heldWorkers(hosts, settings);
  const recycling = (worker?: number) => recyclingWorkers(hosts, worker);
  /**
   * Looks at the slot again and again until told to stop; returns the fewest that were ready and the most processes
   * that ran.
   */
  const watching = ({ host }: OrderedHost) => {
    const seen = { fewest: Number.POSITIVE_INFINITY, most: 0, looks: 0 };
    let over = false;
    const looking = (async () => {
      while (!over) {
        seen.fewest = Math.min(seen.fewest, (await host.slot("a")).workers.ready);
        seen.most = Math.max(seen.most, leftProcesses(host.state).length);
        seen.looks++;
      }
    })();
    hosts.onEnd(() => {
      over = true;
      return looking.catch(() => {});
    });
    return async () => {
      over = true;
      await looking;
      assert(seen.looks > 20, "it was looked at often");
      return [seen.fewest, seen.most];
    };
  };
  const recycled = async ({ host }: OrderedHost) =>
    (await host.events()).flatMap(
      ({ message }) => /^worker (\d) was recycled: (.*)$/.exec(message)?.slice(1).join() ?? [],
    );

  it("are, one at a time and the next one first, when they have served enough; no request fails", async () => {
    const ordered = await OrderedHost.start(
      hosts,
      "tells.py",
      { recycle: { requests: 150 }, readiness: { by: "notify" }, app: { workers: 6 } },
      { TELL: "ready", COUNT: "1" },
    );
    const { host } = ordered;
    await ordered.installed("a", "1");
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await until("the member was read", () => watch.alive().has("a"));
    const target = () => ({ host: host.address, port: host.ports.a as number });
    const loads = [new Load({ target, keepAlive: true, clients: 3 }), new Load({ target, clients: 1 })];
    hosts.onEnd(() => Promise.all(loads.map((load) => load.stop())));
    const stopWatching = watching(ordered);
    await until("several were recycled", async () => (await recycled(ordered)).length >= 5);
    await Promise.all(loads.map((load) => load.stop()));
    assert.deepEqual(await stopWatching(), [3, 4], "never fewer ready than wanted, never more than one over");
    for (const load of loads) assert.deepEqual(load.failures, []);
    const said = watch.of("a").map((member) => `${member?.status} ${member?.metadata.capacity}`);
    assert.deepEqual([...new Set(said)], ["ALIVE 3"], "nothing else was ever said of it");
    assert.match((await recycled(ordered)).join(" "), /^(\d,it served \d+ requests ?)+$/);
    const { lastEnd, workers, state } = await host.slot("a");
    assert.deepEqual([state, lastEnd?.reason, lastEnd?.exitCode], ["serving", "recycled", 0]);
    assert(workers.restarts >= 5);
    await until("the old ones are gone", () => leftProcesses(host.state).length === 3);
    await until("and what they had", () => ordered.signs().join() === "a-0.notify,a-1.notify,a-2.notify");
  });

  it("are when they ask for it, use too much memory, or have run for long enough", async () => {
    const rules = { requests: NEVER, memory_bytes: 64 * MIB };
    const ordered = await OrderedHost.start(hosts, "tells.py", { recycle: rules });
    await ordered.installed("a", "1");
    const [first, second] = await ordered.pids();
    const stopWatching = watching(ordered);
    await ordered.say(1, "X_SLOTD_RECYCLE=1");
    await until("it was recycled", async () => (await recycled(ordered)).join() === "1,it asked for it");
    const [same, third] = await ordered.pids();
    assert.equal(same, first);
    assert.notEqual(third, second);
    ordered.order("eat-0");
    const resident = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${first}/status`, "utf8"))?.[1]) * 1024;
    await until("it has eaten", () => resident() > 64 * MIB, { everyMs: 2 });
    ordered.takeBack("eat-0");
    await until("it was recycled", async () => (await recycled(ordered)).length === 2);
    assert.match((await recycled(ordered))[1] ?? "", /^0,it uses \d+ bytes of memory$/);
    assert.equal((await ordered.pids())[1], third);
    assert.deepEqual(await stopWatching(), [2, 3]);

    ordered.reconfigure({ recycle: { age_ms: 1_500 } });
    await ordered.nextAgent();
    await ordered.untilReady();
    const stopWatchingAgain = watching(ordered);
    await until("both were recycled", async () => {
      const by = (await recycled(ordered)).filter((what) => /ran for \d+ s$/.test(what)).map((what) => what[0]);
      return new Set(by).size === 2;
    });
    assert.deepEqual(await stopWatchingAgain(), [2, 3]);
    assert((await ordered.pids()).every((pid) => pid !== first && pid !== third));
  });

  it("serve on where the next one does not come up, which is not tried again so soon", async () => {
    const { ordered, host, pids } = await held({ readiness: { by: "notify", timeout_ms: 1_500 } });
    ordered.order("broken");
    ordered.order("ready");
    await ordered.say(0, "X_SLOTD_RECYCLE=1");
    const failed = () => host.log().split("worker could not be recycled; it serves on").length - 1;
    await until("the next one has failed", () => failed() === 1);
    ordered.takeBack("broken");
    const starts = () => host.log().split('"worker was started"').length;
    const before = starts();
    await lasts(1_500, "nothing is tried again", async () => starts() === before && failed() === 1);
    await ordered.untilReady();
    assert.deepEqual(await ordered.pids(), pids);
    assert.deepEqual([(await host.slot("a")).lastError, await recycled(ordered)], [null, []]);
    ordered.takeBack("ready");
    await host.do("restart", "a");
    const { lastError } = await host.untilSlot("a", "has failed to restart", (slot) => slot.lastError !== null);
    assert.equal(lastError?.code, "NOT_READY");
    assert.match(lastError?.message ?? "", /0 of 1 workers .* after 1500 ms; .*; worker 0 has not said READY=1/);
    assert.deepEqual(await ordered.pids(), pids);
    ordered.order("ready");
    await host.do("restart", "a");
    await until("a restart is not kept from it", async () => !(await ordered.pids()).some((pid) => pids.includes(pid)));
  });

  it("wait for a restart that is under way, and the other way round", async () => {
    const { ordered, host, pids } = await recycling();
    const waits = async () => leftProcesses(host.state).length === 3 && (await ordered.pids()).join() === pids.join();
    await host.do("restart", "a");
    await lasts(500, "the restart waits", waits);
    ordered.order("ready");
    const restarted = async () =>
      (await host.events()).filter((event) => /all workers were restarted/.test(event.message));
    await until("all were restarted", async () => (await restarted()).length === 1);
    assert.equal((await host.slot("a")).workers.restarts, 3);
    assert.equal((await recycled(ordered)).length, 1);
    ordered.takeBack("ready");

    await ordered.untilReady();
    await host.do("restart", "a");
    await until("the next one runs", () => leftProcesses(host.state).length === 3);
    await ordered.say(1, "X_SLOTD_RECYCLE=1");
    await lasts(500, "the worker waits", () => leftProcesses(host.state).length === 3);
    ordered.order("ready");
    await until("all were restarted", async () => (await restarted()).length === 2);
    assert.equal((await recycled(ordered)).length, 1, "the one that wanted to be was");
    await until("the old ones are gone", () => leftProcesses(host.state).length === 2);
  });

  it("leave nobody over where fewer workers are wanted meanwhile, or none at all", async () => {
    const { ordered, host, release, pids } = await recycling(1);
    await host.installed("a", release, { workers: 1 });
    ordered.order("ready");
    await until("one is left", () => leftProcesses(host.state).join() === String(pids[0]));
    await ordered.untilReady("a", 1);
    await host.installed("a", release, { workers: 2 });
    await ordered.untilReady("a", 2);
    assert.equal(leftProcesses(host.state).length, 2);

    const next = await recycling();
    const { state } = await next.host.untilOrder("a", await next.host.uninstall("a", "1"));
    assert.equal(state, "empty");
    assert.deepEqual([leftProcesses(next.host.state), next.ordered.signs()], [[], []]);
  });
});
