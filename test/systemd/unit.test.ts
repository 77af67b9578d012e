import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { repository } from "../support/release.ts";
import { bootSystemd, type SystemdHost } from "../support/systemd/host.ts";
import { until } from "../support/until.ts";

/**
 * The unit alone: what systemd does to an agent and its workers when it is told to. The agent is a stand-in, so that a
 * test fails for the unit's reasons only.
 */

const UNIT = "slotd@web";
const DROP_IN = `[Service]
ExecStart=
ExecStart=/bin/bash /srv/stand-in-agent.sh
ExecReload=
ExecReload=/bin/kill -HUP $MAINPID
NotifyAccess=all
WatchdogSec=2
TimeoutStopSec=1
`;

let host: SystemdHost;

describe("the unit alone", () => {
  beforeEach(async () => {
    host = await bootSystemd();
    const unit = (name: string) => host.copyIn(join(repository, "systemd", name), `/etc/systemd/system/${name}`);
    unit("slotd@.service");
    unit("slotd.slice");
    host.write("/etc/systemd/system/slotd@.service.d/test.conf", DROP_IN);
    host.copyIn(join(repository, "test/systemd/stand-in-agent.sh"), "/srv/stand-in-agent.sh");
    host.copyIn(join(repository, "systemd/after-agent"), "/srv/after-agent");
    await host.run("install -D -m 755 /srv/after-agent /usr/lib/slotd/after-agent && systemctl daemon-reload");
    await host.startUnit(UNIT);
  });

  afterEach(() => host.close());

  const agent = () => host.show(UNIT, "MainPID");
  const workers = async () => {
    const file = "/sys/fs/cgroup/slotd.slice/slotd@web.service/slot-a/worker-0/cgroup.procs";
    return (await host.run(`cat ${file}`, { check: false })).stdout.trim();
  };
  const untilAnotherAgent = (before: string) =>
    until("another agent runs", async () => {
      const [state, pid] = [await host.show(UNIT, "ActiveState"), await agent()];
      return state === "active" && pid !== before && pid !== "0";
    });

  it("restart replaces the agent and keeps the worker", async () => {
    const [before, worker] = [await agent(), await workers()];
    assert.match(worker, /^\d+$/);
    await host.restartUnit(UNIT);
    assert.notEqual(await agent(), before);
    assert.equal(await workers(), worker);
    assert.match(await host.journal(UNIT), /left/);
  });

  it("an agent that crashes is replaced, and the worker stays", async () => {
    const [before, worker] = [await agent(), await workers()];
    await host.run(["kill", "-KILL", before]);
    await untilAnotherAgent(before);
    assert.equal(await workers(), worker);
  });

  it("an agent that hangs is ended by the watchdog and replaced, and the worker stays", async () => {
    const [before, worker] = [await agent(), await workers()];
    await host.run("touch /run/hang");
    await until("the watchdog has ended it", async () => /Watchdog timeout/.test(await host.journal(UNIT)));
    await host.run("rm /run/hang");
    await untilAnotherAgent(before);
    assert.equal(await workers(), worker);
  });

  it("reload reaches the agent, and replaces nothing", async () => {
    const [before, worker] = [await agent(), await workers()];
    await host.run(["systemctl", "reload", UNIT]);
    await until("it has reloaded", async () => /reloaded/.test(await host.journal(UNIT)));
    assert.deepEqual([await agent(), await workers()], [before, worker]);
  });

  it("stop lets the agent drain", async () => {
    await host.stopUnit(UNIT);
    assert.equal(await host.show(UNIT, "Result"), "success");
    assert.equal(await workers(), "");
    const journal = await host.journal(UNIT);
    assert.match(journal, /drained/);
    assert.doesNotMatch(journal, /ending them/);
  });

  it("stop of an agent that listens to nothing ends its workers all the same", async () => {
    const worker = await workers();
    await host.run("touch /run/hang");
    await until("it hangs", async () => /hanging/.test(await host.journal(UNIT)));
    await host.stopUnit(UNIT);
    assert.equal((await host.run(["kill", "-0", worker], { check: false })).code, 1);
    assert.match(await host.journal(UNIT), /the agent ended and left 1 processes: ending them/);
  });

  it("an agent that refuses its configuration is not tried again, and its worker stays", async () => {
    const [before, worker] = [await agent(), await workers()];
    host.write(
      "/etc/systemd/system/slotd@.service.d/zz.conf",
      "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exit 2'\n",
    );
    await host.run("systemctl daemon-reload");
    await host.run(["kill", "-KILL", before]);
    await host.untilUnit(UNIT, "failed");
    assert.equal(await workers(), worker);
  });

  it("a shutdown drains", async () => {
    await host.stop();
    await host.boot();
    assert.match(await host.journal(UNIT), /drained/);
  });
});
