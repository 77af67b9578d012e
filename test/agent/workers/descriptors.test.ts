import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { descriptors } from "../../../agent/os/process.ts";
import { leftProcesses } from "../../support/agent/host.ts";
import { useHosts } from "../../support/agent/hosts.ts";
import { until } from "../../support/until.ts";
import { OrderedHost } from "./ordered-host.ts";

const WORKERS = 5;
const ROUNDS = 10;

describe("the agent's descriptors", () => {
  const hosts = useHosts();

  it("are as many after fifty restarts of workers as before, and none is left of those that it took over", async () => {
    const ordered = await OrderedHost.start(hosts, "alive.mjs", {
      slots: { a: { workers: WORKERS } },
      app: { restart_backoff_min_ms: 1, restart_backoff_max_ms: 1 },
      liveness: { path: "/alive", interval_ms: 100 },
      // So that there are sockets for this as well.
      recycle: { requests: 1_000_000_000 },
      crash_loop: { ends: 1_000 },
    });
    const { host } = ordered;
    await ordered.installed("a", "1");
    /** How many there are of each kind, sockets by what they are; those of the moment are waited out. */
    const kinds = () => {
      const all = [...descriptors(host.agentPid).values()].map((what) => what.replace(/:?\[\d+\]$/, ""));
      const count = (kind: string) => all.filter((what) => what === kind).length;
      return { pidfds: count("anon_inode:[pidfd]"), all: all.length, kinds: all.sort() };
    };
    const killAll = async () => {
      const { restarts } = (await host.slot("a")).workers;
      // The agent is not asked for them: its figures of processes have descriptors of their own, for a while.
      for (const pid of leftProcesses(host.state)) process.kill(pid, "SIGKILL");
      await until("others were started", async () => (await host.slot("a")).workers.restarts === restarts + WORKERS);
      await ordered.untilReady("a", WORKERS);
    };
    await killAll();
    const before = kinds();
    for (let round = 0; round < ROUNDS; round++) await killAll();
    assert((await host.slot("a")).workers.restarts >= WORKERS * ROUNDS);
    await until("there are as many as before", () => {
      const { all, pidfds, kinds: which } = kinds();
      if (all <= before.all && pidfds === 0) return true;
      throw new Error(`${JSON.stringify(before)}, then ${JSON.stringify(which)}`);
    });

    await ordered.nextAgent();
    await ordered.untilReady("a", WORKERS);
    await until("the agent has the bus", async () => (await host.status()).bus.connected);
    assert.equal(kinds().pidfds, WORKERS);
    const adopted = kinds();
    await killAll();
    await until("none is left of those", () => kinds().pidfds === 0 && kinds().all <= adopted.all - WORKERS);
    await until("nor any file", () => ordered.signs().length === 2 * WORKERS);
  });
});
