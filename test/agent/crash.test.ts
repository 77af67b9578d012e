import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Release } from "../../protocol/release.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";
import { until } from "../support/until.ts";

/** More writes of the journal than an order takes: the loops below end when an order is done without a crash. */
const ENOUGH = 30;

describe("kill -9 of the agent at a write of its journal", () => {
  const hosts = useHosts();

  async function crashingHost(): Promise<{ host: Host; plan: string }> {
    const module = new URL("../support/agent/crash-at-journal.js", import.meta.url);
    // The host's directory is made with the host; the plan lies beside it.
    const plan = join(tmpdir(), `slotd-crash-plan-${process.pid}-${Math.random().toString(36).slice(2)}`);
    module.searchParams.set("plan", plan);
    const settings = { app: { workers: 2 }, readiness: { hold_ms: 0 }, drain: { pause_ms: 5, quiet_ms: 50 } };
    const host = await hosts.start(settings, { nodeOptions: ["--import", module.href] });
    return { host, plan };
  }

  /**
   * Gives an order, with the agent to be killed at its n-th write of the journal; starts the agent again where that
   * happened. Returns whether it did.
   */
  async function crashAt(
    host: Host,
    plan: string,
    when: string,
    nth: number,
    give: () => Promise<string>,
  ): Promise<boolean> {
    writeFileSync(plan, `${when} ${nth}`);
    try {
      const id = await give();
      const over = async () => !existsSync(plan) || (await host.slot("a").catch(() => null))?.order?.id === id;
      await until(`the order is over, or the agent is`, over);
      const crashed = await until("the order has its outcome, or the agent is dead", async () => {
        if (!existsSync(plan)) return "crashed";
        const slot = await host.slot("a").catch(() => null);
        return slot?.order?.id === id && slot.order.outcome === "done" && "done";
      });
      rmSync(plan, { force: true });
      if (crashed === "done") return false;
      await host.endAgent("SIGKILL");
      await host.startAgent();
      await host.untilState("b", "serving");
      const { order, lastError } = await host.untilOrder("a", id);
      assert.equal(order?.outcome, "done", `${when} ${nth}: ${JSON.stringify(lastError)}`);
      return true;
    } finally {
      rmSync(plan, { force: true });
    }
  }

  for (const when of ["before", "after"]) {
    it(`just ${when} it: each install is finished by the next agent, and the other slot is never touched`, async () => {
      const { host, plan } = await crashingHost();
      const [stays, ...turns] = (await appReleases(host, "0", "1", "2")) as [Release, Release, Release];
      await host.installed("b", stays);
      await host.installed("a", turns[1] as Release);
      const other = { pids: await host.pids("b"), member: await host.member("b") };
      let crashes = 0;
      for (let nth = 1; nth < ENOUGH; nth++) {
        const next = turns[nth % 2 === 1 ? 0 : 1] as Release;
        const crashed = await crashAt(host, plan, when, nth, () => host.install("a", next));
        assert.equal((await host.get("a")).version, next.version);
        assert.deepEqual(await host.pids("b"), other.pids);
        assert.deepEqual(await host.member("b"), other.member);
        const pids = await host.pids("a");
        assert.equal(pids.length, 1, "no worker of the version before is left");
        if (!crashed) break;
        crashes++;
        // What the crash left behind must not make the start after the next one end healthy workers.
        await host.killAgent();
        await host.startAgent();
        await host.untilState("a", "serving");
        assert.deepEqual(await host.pids("a"), pids, `${when} ${nth}: the workers are those of before`);
      }
      assert(crashes >= 6 && crashes < ENOUGH, `there were ${crashes} crashes`);
    });
  }

  it("just after it: each uninstall is finished by the next agent, and the other slot is never touched", async () => {
    const { host, plan } = await crashingHost();
    const [stays, goes] = (await appReleases(host, "0", "1")) as [Release, Release];
    await host.installed("b", stays);
    const other = { pids: await host.pids("b"), member: await host.member("b") };
    let crashes = 0;
    for (let nth = 1; nth < ENOUGH; nth++) {
      await host.installed("a", goes);
      const crashed = await crashAt(host, plan, "after", nth, () => host.uninstall("a", "1"));
      assert.equal((await host.slot("a")).state, "empty");
      assert.deepEqual(await host.pids("a"), []);
      assert.deepEqual(await host.pids("b"), other.pids);
      assert.deepEqual(await host.member("b"), other.member);
      await until("it is out of the serverset", async () => (await host.member("a")) === null);
      if (!crashed) break;
      crashes++;
    }
    assert(crashes >= 4 && crashes < ENOUGH, `there were ${crashes} crashes`);
  });
});
