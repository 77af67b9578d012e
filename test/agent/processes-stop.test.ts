import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { processStat } from "../../agent/os/process.ts";
import { type Host, leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";

type Family = { pid: number; child: number };

describe("ending the processes of a slot", () => {
  const hosts = useHosts();

  const serving = async (mode: string, app: Record<string, unknown> = {}): Promise<Host> => {
    const command = [process.execPath, "awkward.mjs", mode];
    const host = await hosts.start({ app: { command, stop_grace_ms: 300, ...app }, drain: { pause_ms: 0 } });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "awkward.mjs" }));
    return host;
  };
  const runs = (pid: number) => !"ZX".includes(processStat(pid)?.state ?? "X");

  it("kills a worker that ignores SIGTERM after the grace, and records that", async () => {
    const host = await serving("ignores-term");
    const began = performance.now();
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert(performance.now() - began >= 300);
    assert.equal(status.order?.outcome, "done");
    const { reason, signal, exitCode } = status.lastEnd ?? {};
    assert.deepEqual([reason, signal, exitCode], ["killed", "SIGKILL", null]);
    assert.deepEqual(leftProcesses(host.state), []);
  });

  it("records a worker that ended when it was told to as stopped", async () => {
    const host = await serving("none");
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    const { reason, signal, exitCode } = status.lastEnd ?? {};
    assert.deepEqual([reason, signal, exitCode], ["stopped", null, 0]);
  });

  it("starts no worker again between SIGTERM and SIGKILL", async () => {
    const host = await serving("ignores-term", { restart_backoff_min_ms: 1, stop_grace_ms: 1_000 });
    const pids = await host.pids("a");
    const id = await host.uninstall("a", "1");
    await host.untilState("a", "stopping");
    // It ends before its time; its place must stay empty.
    process.kill(pids[0] as number, "SIGKILL");
    const seen = new Set<number>();
    const status = await host.untilSlot("a", "the order is over", ({ order }) => {
      for (const pid of leftProcesses(host.state)) seen.add(pid);
      return order?.id === id && order.outcome !== "pending";
    });
    assert.equal(status.order?.outcome, "done");
    assert.deepEqual(
      [...seen].filter((pid) => !pids.includes(pid)),
      [],
    );
  });

  it("catches a worker that was about to be started again", async () => {
    const host = await serving("none", { restart_backoff_min_ms: 1, stop_grace_ms: 60_000 });
    const pids = await host.pids("a");
    for (const pid of pids) process.kill(pid, "SIGKILL");
    // Far sooner than the grace would be over: it was told to end.
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(status.order?.outcome, "done");
    assert.deepEqual(leftProcesses(host.state), []);
  });

  for (const mode of ["child-in-the-group", "child-out-of-the-group"]) {
    it(`ends a ${mode.replaceAll("-", " ")} of its parent too, before the slot is used again`, async () => {
      const host = await serving(mode);
      const { child } = await host.get<Family>("a");
      assert(runs(child));
      const next = await makeRelease(host.archives, "2", { app: "awkward.mjs" });
      const status = await host.installed("a", next);
      assert.equal(status.version, "2");
      assert(!runs(child), "the child has ended");
      assert.notEqual((await host.get<Family>("a")).child, child);
      assert.equal(leftProcesses(host.state).length, 4, "two workers of version 2, each with its child");
    });
  }

  it("names a process in disguise that keeps the port, starts nothing beside it, and ends empty when it has gone", async () => {
    const host = await serving("child-in-disguise", { workers: 2 });
    const { child } = await host.get<Family>("a");
    const next = await makeRelease(host.archives, "2", { app: "awkward.mjs" });
    const status = await host.untilOrder("a", await host.install("a", next));
    assert.equal(status.order?.outcome, "failed");
    assert.equal(status.order?.error?.code, "STOP_FAILED");
    assert.match(status.order?.error?.message ?? "", new RegExp(`port ${host.ports.a}.*process ${child} \\(.*lingers`));
    assert.deepEqual(leftProcesses(host.state), [], "nothing was started");
    assert(runs(child), "what carries no token of the slot is not signalled");

    process.kill(child, "SIGKILL");
    await host.untilState("a", "empty");
    assert.equal((await host.slot("a")).version, null, "what an order took away does not come back by itself");
    assert.equal((await host.installed("a", next)).version, "2");
  });
});
