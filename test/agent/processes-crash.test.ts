import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { processStat } from "../../agent/os/process.ts";
import type { SlotStatus } from "../../protocol/host-status.ts";
import { type Host, leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

const AWKWARD = (mode: string) => ({ command: [process.execPath, "awkward.mjs", mode] });

describe("workers that end by themselves", () => {
  const hosts = useHosts();

  const serving = async (settings: Record<string, unknown> = {}, app = "app.mjs"): Promise<Host> => {
    const host = await hosts.start(settings);
    await host.installed("a", await makeRelease(host.archives, "1", { app }));
    return host;
  };
  const watching = async (host: Host) => {
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await until("the members were read", () => watch.alive().size > 0);
    return watch;
  };
  /** What was said of a slot's capacity, one after another; a heartbeat says nothing new. */
  const capacities = (watch: MemberWatch, slot: string) =>
    watch
      .of(slot)
      .map((member) => member?.metadata.capacity)
      .filter((capacity, i, all) => i === 0 || capacity !== all[i - 1]);

  it("are started again after a pause; the capacity drops and returns, and the other slot is untouched", async () => {
    const host = await serving({ app: { restart_backoff_min_ms: 400 } });
    await host.installed("b", await makeRelease(host.archives, "2", { app: "app.mjs" }));
    const watch = await watching(host);
    await until("both members were read", () => watch.alive().size === 2);
    const b = await host.pids("b");
    const [first, second] = (await host.pids("a")) as [number, number];
    const crashedAt = performance.now();
    await fetch(host.url("a", "/crash")).catch(() => {});
    const again = ({ workers }: SlotStatus) => workers.restarts === 1 && workers.ready === 2;
    const status = await host.untilSlot("a", "has both again", again);
    assert(performance.now() - crashedAt >= 200, "it was not started again at once");
    assert.equal(status.state, "serving");
    await until("the capacity has returned", () => capacities(watch, "a").join() === "2,1,2");
    const pids = await host.pids("a");
    assert.equal(pids.filter((pid) => pid === first || pid === second).length, 1, "the other one was left alone");
    assert.deepEqual(await host.pids("b"), b);
    assert.equal(capacities(watch, "b").join(), "2", "nothing new was said of the other slot");

    const { lastEnd: end } = status;
    assert.deepEqual([end?.reason, end?.exitCode, end?.signal, end?.version], ["crashed", 3, null, "1"]);
    assert(end && end.ranMs > 100 && end.ranMs < 60_000);
    const event = (await host.events()).find(({ kind, facts }) => kind === "worker" && facts?.reason === "crashed");
    assert.equal(event?.facts?.exitCode, 3);
  });

  it("take the member with them when none is left, until one is ready again", async () => {
    const host = await serving({ app: { restart_backoff_min_ms: 500 } });
    const watch = await watching(host);
    for (const pid of await host.pids("a")) process.kill(pid, "SIGKILL");
    await until("the member is withdrawn", () => watch.of("a").includes(null));
    await until("it is back", () => capacities(watch, "a").at(-1) === "2");
    const { state, lastEnd } = await host.slot("a");
    assert.equal(state, "serving");
    assert.deepEqual([lastEnd?.reason, lastEnd?.exitCode, lastEnd?.signal], ["crashed", null, "SIGKILL"]);
  });

  it("wait longer before each further try", async () => {
    const host = await serving({ app: { workers: 2, restart_backoff_min_ms: 100, restart_backoff_max_ms: 10_000 } });
    const starts: number[] = [];
    for (let crashes = 0; crashes < 4; crashes++) {
      const [pid] = (await host.pids("a")) as [number];
      process.kill(pid, "SIGKILL");
      const killed = performance.now();
      await host.untilSlot("a", "has a new one", ({ workers }) => workers.restarts === crashes + 1);
      starts.push(performance.now() - killed);
    }
    // Jitter takes up to half of 100, 200, 400, 800 ms.
    for (const [tries, waited] of starts.entries()) assert(waited >= 50 * 2 ** tries, starts.join());
  });

  it("leave no child behind that ignores SIGTERM", async () => {
    const host = await serving(
      { app: { ...AWKWARD("child-in-the-group"), stop_grace_ms: 200, workers: 2 } },
      "awkward.mjs",
    );
    const { pid, child } = await host.get<{ pid: number; child: number }>("a");
    assert(leftProcesses(host.state).includes(child));
    process.kill(pid, "SIGKILL");
    await until("its child has ended", () => "ZX".includes(processStat(child)?.state ?? "X"));
    const next = await host.untilSlot("a", "is ready again", ({ workers }) => workers.ready === 1);
    assert.equal(next.workers.restarts, 1);
    const now = await host.get<{ pid: number; child: number }>("a");
    assert.notEqual(now.pid, pid);
    assert(processStat(now.child), "the next one's child was left alone");
  });

  it("do not leave a child behind that went out of the group", async () => {
    const host = await serving(
      { app: { ...AWKWARD("child-out-of-the-group"), stop_grace_ms: 200, workers: 4 } },
      "awkward.mjs",
    );
    const { pid, child } = await host.get<{ pid: number; child: number }>("a");
    process.kill(pid, "SIGKILL");
    await until("its child has ended", () => "ZX".includes(processStat(child)?.state ?? "X"));
    await host.untilSlot("a", "is ready again", ({ workers }) => workers.ready === 2);
    assert.equal(leftProcesses(host.state).length, 4, "two workers, each with its child");
  });

  it("write on, and do not wait for anybody, while the agent is dead", async () => {
    const host = await serving({ app: { ...AWKWARD("writes-a-lot") } }, "awkward.mjs");
    const pids = await host.pids("a");
    await host.killAgent();
    const log = join(host.state, "logs", "a-0.log");
    const size = () => readFileSync(log).length;
    const before = size();
    await until("much more was written than a pipe holds", () => size() > before + 500_000);
    for (const pid of pids) assert(!"ZX".includes(processStat(pid)?.state ?? "X"));
    assert.equal((await host.get("a")).pid > 0, true);
    await host.startAgent();
    await host.untilState("a", "serving");
    assert.deepEqual(await host.pids("a"), pids);
  });
});
