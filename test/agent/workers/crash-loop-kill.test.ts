import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leftProcesses } from "../../support/agent/host.ts";
import { useHosts } from "../../support/agent/hosts.ts";
import { until } from "../../support/until.ts";
import { OrderedHost } from "./ordered-host.ts";

/** More writes of the journal than a verdict takes from the first crash on. */
const ENOUGH = 20;

describe("a version whose workers crash again and again", () => {
  const hosts = useHosts();

  it("is given up where the agent is killed at any write of its journal, and the other slot is never touched", async () => {
    const module = new URL("../../support/agent/crash-at-journal.js", import.meta.url);
    const plan = join(tmpdir(), `slotd-crash-plan-${process.pid}-${Math.random().toString(36).slice(2)}`);
    hosts.onEnd(() => rmSync(plan, { force: true }));
    module.searchParams.set("plan", plan);
    const settings = {
      slots: { a: { workers: 1 } },
      crash_loop: { ends: 2, within_ms: 30_000 },
      app: { restart_backoff_max_ms: 100 },
    };
    const ordered = await OrderedHost.start(hosts, "crashes.mjs", settings, {}, ["--import", module.href]);
    const { host } = ordered;
    const release = await ordered.installed("a", "1");
    await ordered.installed("b", "2");
    const others = await ordered.pids("b");
    let crashes = 0;
    for (let nth = 1; nth < ENOUGH; nth++) {
      writeFileSync(plan, `${nth % 2 === 0 ? "before" : "after"} ${nth}`);
      ordered.order("crash-a");
      const crashed = await until("the verdict is there, or the agent is dead", async () => {
        if (!existsSync(plan)) return "crashed";
        const { state, workers } = await host.slot("a").catch(() => ({ state: null, workers: { alive: 1 } }));
        return state === "failed" && workers.alive === 0 && "failed";
      });
      const last = crashed === "failed";
      rmSync(plan, { force: true });
      await ordered.nextAgent();
      await ordered.untilReady("b");
      await host.untilState("a", "failed");
      await until("the member is withdrawn", async () => (await host.member("a")) === null);
      assert.deepEqual(await ordered.pids("b"), others);
      ordered.takeBack("crash-a");
      await host.installed("a", release);
      await ordered.untilReady("a", 1);
      assert.equal(leftProcesses(host.state).length, 3);
      if (last) break;
      crashes++;
    }
    assert(crashes >= 4 && crashes < ENOUGH - 1, `there were ${crashes} crashes`);
  });
});
