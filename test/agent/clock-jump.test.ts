import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { Load } from "../support/load/load.ts";
import { until } from "../support/until.ts";

const TWO_DAYS_MS = 2 * 24 * 60 * 60 * 1000;
/** What the test's own measure may be off by, while other tests run. */
const SLACK_MS = 10_000;
const HOLD_MS = 800;

describe("an agent on a host whose clock jumps", () => {
  const hosts = useHosts();

  interface Clocked {
    host: Host;
    watch: MemberWatch;
    /** Sets the agent's clock so that it is off by as much, and sees that the agent goes by it. */
    set(offsetMs: number): Promise<void>;
  }

  /** Two versions that serve under load, and an agent whose clock can be set. Afterwards no request has failed. */
  async function twoVersions(settings: Record<string, unknown> = {}): Promise<Clocked> {
    const directory = mkdtempSync(join(tmpdir(), "slotd-clock-"));
    hosts.onEnd(() => rmSync(directory, { recursive: true }));
    const offset = join(directory, "offset");
    const module = new URL("../support/agent/shifted-clock.js", import.meta.url);
    module.searchParams.set("offset", offset);
    const host = await hosts.start(settings, { nodeOptions: ["--import", module.href] });
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    await host.installed("b", two);
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await until("both members were read", () => watch.alive().size === 2);
    return {
      host,
      watch,
      async set(offsetMs) {
        writeFileSync(offset, String(offsetMs));
        await until("the agent goes by the new time", async () => {
          const { observedAt } = await host.status();
          return Math.abs(Date.parse(observedAt) - Date.now() - offsetMs) < SLACK_MS;
        });
      },
    };
  }

  const loaded = (host: Host, ...slots: string[]) => {
    const loads = slots.map((slot) => {
      const target = { host: host.address, port: host.ports[slot] as number };
      return new Load({ target: () => target, clients: 1, keepAlive: slot === "a" });
    });
    hosts.onEnd(() => Promise.all(loads.map((load) => load.stop())));
    return async () => {
      for (const load of loads) {
        await load.stop();
        assert.deepEqual(load.failures, []);
        assert(load.requests > 0);
      }
    };
  };
  const serving = (host: Host, slot: string) =>
    host.untilSlot(slot, "serves", ({ state, workers }) => state === "serving" && workers.ready === 2);

  for (const [way, jumpMs] of [
    ["ahead", TWO_DAYS_MS],
    ["back", -TWO_DAYS_MS],
  ] as const) {
    it(`two days ${way} withdraws nothing, and keeps the workers and the registration's beat`, async () => {
      const { host, watch, set } = await twoVersions();
      const noneFailed = loaded(host, "a", "b");
      const pids = [await host.pids("a"), await host.pids("b")];
      const { since } = await host.slot("a");
      await set(jumpMs);
      const said = { a: watch.of("a").length, b: watch.of("b").length };
      await until("both members are written again", () => {
        return watch.of("a").length > said.a && watch.of("b").length > said.b;
      });
      for (const { uptimeMs } of await host.workers()) assert(uptimeMs > 100 && uptimeMs < 60_000, `up ${uptimeMs} ms`);
      await set(0);
      assert(
        watch.history.every(({ member }) => member?.status === "ALIVE" && member.metadata.capacity === "2"),
        JSON.stringify(watch.history),
      );
      assert.deepEqual([await host.pids("a"), await host.pids("b")], pids);
      assert((await host.workers()).every(({ restarts, state }) => restarts === 0 && state === "ready"));
      const { state, since: now, lastError } = await host.slot("a");
      assert.deepEqual([state, now, lastError], ["serving", since, null]);
      await noneFailed();
    });

    it(`two days ${way} is no time that a drain has lasted, and nothing is cut`, async () => {
      const { host, set } = await twoVersions();
      const pids = await host.pids("a");
      const slow = host.get("a", "/slow?ms=3000");
      await until("the request is in flight", async () => (await host.slot("a")).connections?.inFlight);
      const began = performance.now();
      await host.do("drain", "a");
      await host.untilState("a", "draining");
      await set(jumpMs);
      const { lastDrain } = await host.untilSlot("a", "is drained", (slot) => slot.lastDrain !== null);
      const tookMs = performance.now() - began;
      assert.equal((await slow).version, "1");
      assert.deepEqual([lastDrain?.idle, lastDrain?.cutRequests], ["idle", 0]);
      const durationMs = lastDrain?.durationMs ?? 0;
      assert(durationMs > 500 && durationMs <= tookMs, `${durationMs} ms of ${tookMs}`);
      assert.deepEqual(await host.pids("a"), pids, "they wait for what the operator decides");
      await host.do("undrain", "a");
      await serving(host, "a");
      assert.deepEqual(await host.pids("a"), pids);
    });

    it(`two days ${way} while a version starts neither shortens nor lengthens the wait for it`, async () => {
      const { host, set } = await twoVersions({ readiness: { hold_ms: HOLD_MS } });
      const noneFailed = loaded(host, "b");
      const b = await host.pids("b");
      const [three, four] = await appReleases(host, "3", "4");
      assert(three && four);
      const order = await host.install("a", three);
      const began = performance.now();
      await host.untilState("a", "starting");
      await set(jumpMs);
      const { order: done, version } = await host.untilOrder("a", order);
      const tookMs = performance.now() - began;
      assert.deepEqual([done?.outcome, version], ["done", "3"]);
      assert(tookMs >= HOLD_MS && tookMs < HOLD_MS + SLACK_MS, `${tookMs} ms`);
      await host.installed("a", four);
      assert.equal((await host.get("a")).version, "4");
      assert.deepEqual(await host.pids("b"), b);
      await noneFailed();
    });

    it(`two days ${way} changes nothing in how soon a worker is replaced, and how long it has run`, async () => {
      const { host, set } = await twoVersions({ app: { restart_backoff_min_ms: 400 } });
      const pids = await host.pids("a");
      for (const offset of [jumpMs, 0]) {
        await set(offset);
        const [gone] = (await host.pids("a")) as [number];
        const began = performance.now();
        process.kill(gone, "SIGKILL");
        const { lastEnd } = await host.untilSlot("a", "has lost it", (slot) => slot.lastEnd?.pid === gone);
        assert((lastEnd?.ranMs ?? -1) >= 0 && (lastEnd?.ranMs ?? 0) < 60_000, `ran for ${lastEnd?.ranMs} ms`);
        await until("another one has its place", async () => {
          const now = await host.pids("a");
          return now.length === 2 && !now.includes(gone);
        });
        // It backs off for 200 to 400 ms, and doubles that for a seat that failed before.
        const tookMs = performance.now() - began;
        assert(tookMs >= 200 && tookMs < 800 + SLACK_MS, `${tookMs} ms`);
        await serving(host, "a");
      }
      assert.equal((await host.pids("b")).length, 2);
      assert.notDeepEqual(await host.pids("a"), pids);
    });

    it(`two days ${way} before the next agent starts, it takes the same workers over`, async () => {
      const { host, watch, set } = await twoVersions();
      const pids = [await host.pids("a"), await host.pids("b")];
      await set(jumpMs);
      await host.endAgent("SIGUSR2");
      await host.startAgent();
      await Promise.all(["a", "b"].map((slot) => serving(host, slot)));
      assert.deepEqual([await host.pids("a"), await host.pids("b")], pids);
      assert(watch.history.every(({ member }) => member?.status === "ALIVE"));
    });
  }
});
