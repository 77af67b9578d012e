import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { SlotStatus } from "../../protocol/host-status.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

/** More writes of the journal than an uninstall takes. */
const ENOUGH = 30;

type Family = { pid: number; child: number };

/** Without a control group, nothing shows that the child belongs to the slot: it keeps the port. */
describe("a version whose removal failed because a stray process keeps its port", () => {
  const hosts = useHosts();

  const serving = async (nodeOptions: string[] = []): Promise<{ host: Host; child: number }> => {
    const command = [process.execPath, "awkward.mjs", "child-in-disguise"];
    const settings = { app: { command, workers: 2, stop_grace_ms: 300 }, drain: { pause_ms: 0 } };
    const host = await hosts.start(settings, { nodeOptions });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "awkward.mjs" }));
    const { child } = await host.get<Family>("a");
    return { host, child };
  };
  const failedUninstall = async (host: Host): Promise<SlotStatus> => {
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(status.order?.outcome, "failed");
    assert.equal(status.order?.error?.code, "STOP_FAILED");
    return status;
  };
  const starts = async (host: Host) =>
    (await host.events()).filter(({ kind, message }) => kind === "state" && /→ (starting|serving)$/.test(message))
      .length;

  it("does not come back: the slot is empty once the process is gone", async () => {
    const { host, child } = await serving();
    const before = await starts(host);
    await failedUninstall(host);
    process.kill(child, "SIGKILL");
    const status = await host.untilState("a", "empty");
    assert.equal(status.version, null);
    assert.equal(status.order?.outcome, "failed", "the order keeps its outcome");
    assert.equal(await starts(host), before, "nothing was started in between");
    const next = await makeRelease(host.archives, "2", { app: "awkward.mjs" });
    assert.equal((await host.installed("a", next)).version, "2");
  });

  it("is not restarted by an operator's restart either, who is told what to do", async () => {
    const { host, child } = await serving();
    await failedUninstall(host);
    await assert.rejects(host.do("restart", "a"), (error: Error & { code: string }) => {
      assert.equal(error.code, "SLOT_STATE");
      assert.match(error.message, /install it again/);
      return true;
    });
    process.kill(child, "SIGKILL");
    await host.untilState("a", "empty");
  });

  it("does not come back with the next agent, however the last one ended", async () => {
    const { host, child } = await serving();
    await failedUninstall(host);
    for (const signal of ["SIGKILL", "SIGUSR2"] as const) {
      await host.endAgent(signal);
      await host.startAgent();
      const status = await host.untilState("a", "empty");
      assert.equal(status.version, null);
      assert.deepEqual(await host.pids("a"), []);
      assert.equal(await starts(host), 0);
    }
    process.kill(child, "SIGKILL");
  });

  for (const when of ["before", "after"]) {
    it(`does not come back if the agent is killed just ${when} a write of its journal`, async () => {
      const module = new URL("../support/agent/crash-at-journal.js", import.meta.url);
      const plan = join(tmpdir(), `slotd-crash-plan-${process.pid}-${when}`);
      hosts.onEnd(() => rmSync(plan, { force: true }));
      module.searchParams.set("plan", plan);
      let crashes = 0;
      for (let nth = 1; nth < ENOUGH; nth++) {
        const { host, child } = await serving(["--import", module.href]);
        writeFileSync(plan, `${when} ${nth}`);
        const id = await host.uninstall("a", "1");
        const seen = await until("the order is over, or the agent is", async () => {
          if (!existsSync(plan)) return "dead";
          const slot = await host.slot("a").catch(() => null);
          return slot?.order?.id === id && slot.order.outcome !== "pending" && "over";
        });
        rmSync(plan, { force: true });
        if (seen === "dead") {
          await host.endAgent("SIGKILL");
          await host.startAgent();
          await host.untilOrder("a", id);
        }
        process.kill(child, "SIGKILL");
        const status = await host.untilState("a", "empty");
        assert.equal(status.version, null, `${when} ${nth}`);
        assert.deepEqual(await host.pids("a"), []);
        if (seen === "over") break;
        crashes++;
      }
      assert(crashes >= 3 && crashes < ENOUGH, `there were ${crashes} crashes`);
    });
  }
});
