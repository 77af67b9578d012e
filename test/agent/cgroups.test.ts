import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { pino } from "pino";
import { Cgroup } from "../../agent/os/cgroup.ts";
import { environment, identify } from "../../agent/os/process.ts";
import { SlotCgroup } from "../../agent/workers/process/cgroups.ts";
import type { Host, Settings } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { runId } from "../support/run.ts";
import { until } from "../support/until.ts";

/** These need a cgroup v2 hierarchy that is mounted, and root; controllers are not needed. */

let groups = 0;

/** A group as systemd hands it to a service with `Delegate=yes`. */
function delegate(): Cgroup {
  const own = Cgroup.of("self");
  assert(own, "no cgroup v2 hierarchy is mounted");
  const group = own.child(`slotd-test-${process.pid}-${runId}-${++groups}`).make();
  execFileSync("python3", ["-c", `import os; os.setxattr("${group.path}", "user.delegate", b"1")`]);
  return group;
}

/** The names of the groups in a group, each with its processes, where it has any. */
function layout(group: Cgroup, below = ""): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (const child of group.children()) {
    const name = join(below, basename(child.path));
    const pids = child.readText("cgroup.procs").split("\n").filter(Boolean).map(Number);
    Object.assign(found, { [name]: pids.sort((x, y) => x - y) }, layout(child, name));
  }
  return found;
}

const isRunning = (pid: number) => identify(pid) !== null;

describe("a slot's control group", () => {
  const log = pino({ enabled: false });
  const slotIn = (group: Cgroup, limits = {}) => new SlotCgroup(group.child("slot-a"), limits, 100, log);

  it("gives each worker one of its own, and none to two", async () => {
    const group = delegate();
    try {
      const slot = slotIn(group);
      const [first, second] = [slot.place(0), slot.place(0)];
      const names = () => Object.keys(layout(group)).sort();
      assert.deepEqual(names(), ["slot-a", "slot-a/worker-0", "slot-a/worker-0.1"]);
      assert(first.remove());
      slot.place(0);
      slot.place(1);
      assert.deepEqual(names(), ["slot-a", "slot-a/worker-0", "slot-a/worker-0.1", "slot-a/worker-1"]);
      assert(second.remove());
      slot.remove();
      assert.deepEqual(names(), []);
    } finally {
      await group.end();
    }
  });
});

describe("an agent with a delegated control group", () => {
  const hosts = useHosts();
  /** A host whose agent is started in that group, if there is a file of that name. */
  const hostIn = async (settings: Settings = {}) => {
    const group = delegate();
    const directory = mkdtempSync(join(tmpdir(), "slotd-node-"));
    hosts.onEnd(async () => {
      rmSync(directory, { recursive: true });
      await group.end();
    });
    const [node, flag] = [join(directory, "node"), join(directory, "delegated")];
    const enter = `if [ -e ${flag} ]; then echo 0 >${group.path}/cgroup.procs; fi`;
    writeFileSync(node, `#!/bin/sh\n${enter}\nexec ${process.execPath} "$@"\n`, { mode: 0o755 });
    writeFileSync(flag, "");
    const app = { command: [process.execPath, "daemonizes.mjs"], workers: 4, stop_grace_ms: 300 };
    const host = await hosts.create({ ...settings, app: { ...app, ...(settings.app as Settings) } }, { node });
    return { host, group, flag };
  };
  const startIn = async (settings: Settings = {}) => {
    const { host, group } = await hostIn(settings);
    await host.startAgent();
    return { host, group };
  };
  const release = (host: Host, version = "1", app = "daemonizes.mjs") => makeRelease(host.archives, version, { app });
  /** The workers of a slot, each with its daemon. */
  const trees = (host: Host, slot: string, count: number) =>
    until(`${count} workers answered`, async () => {
      const found = new Map<number, number>();
      for (let tries = 0; tries < 20 && found.size < count; tries++) {
        const { pid, daemon } = await host.get<{ pid: number; daemon: number }>(slot);
        found.set(pid, daemon);
      }
      return found.size === count ? found : null;
    });
  const inOrder = (...pids: number[]) => pids.sort((x, y) => x - y);

  it("has a group for itself and one for each worker, with all that it started; what is empty goes", async () => {
    const { host, group } = await startIn({ limits: { pids_max: 1000 } });
    await host.installed("a", await release(host));
    const workers = await host.workers("a");
    const tree = await trees(host, "a", 2);
    const of = (number: number) => {
      const pid = workers.find(({ worker }) => worker === number)?.pid as number;
      return inOrder(pid, tree.get(pid) as number);
    };
    assert.deepEqual(layout(group), {
      agent: [host.agentPid],
      "slot-a": [],
      "slot-a/worker-0": of(0),
      "slot-a/worker-1": of(1),
    });
    const wanted = ["cpu", "memory", "pids"].filter((name) => group.controllers.includes(name));
    assert.deepEqual((await host.status()).controllers, wanted);
    const { warnings } = await host.status();
    assert.equal(warnings.length, wanted.includes("pids") ? 0 : 1, warnings.join());

    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(layout(group), { agent: [host.agentPid] });
    assert([...tree.values()].every((daemon) => !isRunning(daemon)));
    await host.installed("a", await release(host, "2"));
    assert.deepEqual(Object.keys(layout(group)).sort(), ["agent", "slot-a", "slot-a/worker-0", "slot-a/worker-1"]);
    await host.endAgent("SIGTERM");
    assert.deepEqual(layout(group), { agent: [] });
  });

  it("ends what a worker left that crashed, and nothing of the next one or its neighbours", async () => {
    const { host, group } = await startIn({ app: { restart_backoff_min_ms: 1 } });
    await host.installed("a", await release(host));
    await host.installed("b", await release(host, "2"));
    const before = await trees(host, "a", 2);
    const other = await trees(host, "b", 2);
    const [[pid, daemon], [neighbour, itsDaemon]] = [...before] as [[number, number], [number, number]];
    process.kill(pid, "SIGKILL");
    await host.untilSlot("a", "is whole again", ({ workers }) => workers.restarts === 1 && workers.ready === 2);
    await until("the daemon is ended", () => !isRunning(daemon));
    await until(
      "its group is gone",
      () => Object.values(layout(group)).filter((pids) => pids.length === 0).length === 2,
    );
    const after = await trees(host, "a", 2);
    assert.equal(after.get(neighbour), itsDaemon);
    for (const each of [...after.values(), ...other.values()]) assert(isRunning(each), "the others' daemons run");
    assert.equal(Object.keys(layout(group)).length, 1 + 2 + 4);
  });

  it("leaves all of it alone when it ends or is killed, and the next agent finds it", async () => {
    const { host, group } = await startIn();
    await host.installed("a", await release(host));
    const tree = await trees(host, "a", 2);
    const without = ({ agent: _, ...rest }: Record<string, number[]>) => rest;
    const before = without(layout(group));
    for (const signal of ["SIGUSR2", "SIGKILL"] as const) {
      await host.endAgent(signal);
      assert.deepEqual(without(layout(group)), before);
      await host.startAgent();
      await host.untilState("a", "serving");
      assert.deepEqual(layout(group), { ...before, agent: [host.agentPid] });
    }
    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(layout(group), { agent: [host.agentPid] });
    assert([...tree.values()].every((daemon) => !isRunning(daemon)));
  });

  it("ends what a worker left that ended while no agent was there", async () => {
    const { host, group } = await startIn();
    await host.installed("a", await release(host));
    const before = await trees(host, "a", 2);
    const [[pid, daemon], [neighbour, itsDaemon]] = [...before] as [[number, number], [number, number]];
    await host.killAgent();
    process.kill(pid, "SIGKILL");
    await until("it has ended", () => !isRunning(pid));
    await host.startAgent();
    // SIGTERM does not end it, and a grace of 10 s is what it gets.
    await until("the daemon is ended", () => !isRunning(daemon));
    const after = await trees(host, "a", 2);
    assert.equal(after.get(neighbour), itsDaemon);
    await until("only groups of workers are left", () => Object.keys(layout(group)).length === 1 + 1 + 2);
  });

  it("keeps groups apart while workers are replaced, and leaves none behind", async () => {
    const { host, group } = await startIn();
    await host.installed("a", await release(host));
    for (const round of [1, 2]) {
      const before = await trees(host, "a", 2);
      await host.do("restart", "a");
      await host.untilSlot(
        "a",
        "has new workers",
        ({ workers }) => workers.restarts === 2 * round && workers.ready === 2,
      );
      await until("the old ones' daemons are ended", () => [...before.values()].every((daemon) => !isRunning(daemon)));
      const after = await trees(host, "a", 2);
      const expected = [...after].map((pair) => inOrder(...pair).join()).sort();
      const now = () =>
        Object.entries(layout(group)).flatMap(([name, pids]) => (name.includes("/") ? [pids.join()] : []));
      await until("each has a group of its own, and no more are there", () => {
        assert.deepEqual(now().sort(), expected);
        return true;
      });
    }
  });

  it("moves workers into groups, with all that they started, that an agent without any started", async () => {
    const { host, group, flag } = await hostIn({ app: { command: [process.execPath, "app.mjs"] } });
    rmSync(flag);
    await host.startAgent();
    assert.equal((await host.status()).controllers, null);
    await host.installed("a", await release(host, "1", "app.mjs"));
    const children = await Promise.all((await host.pids("a")).map(async (pid) => ({ pid, child: beget(pid) })));
    await host.endAgent("SIGUSR2");
    writeFileSync(flag, "");
    await host.startAgent();
    await host.untilState("a", "serving");
    const all = layout(group);
    for (const { pid, child } of children)
      assert(
        Object.values(all).some((pids) => pids.join() === inOrder(pid, child).join()),
        JSON.stringify(all),
      );
    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(layout(group), { agent: [host.agentPid] });
    for (const { child } of children) assert(!isRunning(child));
  });

  /** Starts something in the name of a worker: with its environment, in a session of its own. */
  function beget(pid: number): number {
    const env = Object.fromEntries(environment(pid) ?? []);
    const script = "sleep 1000 >/dev/null 2>&1 & echo $!";
    return Number(execFileSync("setsid", ["sh", "-c", script], { env, encoding: "utf8" }));
  }
});

describe("an agent without a delegated control group", () => {
  const hosts = useHosts();

  it("says so once, and does without", async () => {
    const host = await hosts.start({ limits: { memory_max_bytes: 2 ** 30 } });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "app.mjs" }));
    assert.equal((await host.status()).controllers, null);
    const [pid] = (await host.pids("a")) as [number];
    process.kill(pid, "SIGKILL");
    await host.untilSlot("a", "is whole again", ({ workers }) => workers.restarts === 1 && workers.ready === 2);
    await host.do("restart", "a");
    await host.untilSlot("a", "has new workers", ({ workers }) => workers.restarts === 3 && workers.ready === 2);
    await host.untilOrder("a", await host.uninstall("a", "1"));
    const lines = host.log().match(/.*no delegated cgroup v2 \(Delegate=yes of slotd@\.service\).*/g) ?? [];
    assert.equal(lines.length, 1);
    const { warnings } = await host.status();
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] as string, /limits\.memory_max_bytes can't be enforced/);
  });
});
