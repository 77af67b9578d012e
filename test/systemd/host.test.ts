import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { cgroupsNamed } from "../support/systemd/cgroup.ts";
import { bootSystemd, type SystemdHost } from "../support/systemd/host.ts";
import { until } from "../support/until.ts";

const hosts: SystemdHost[] = [];
const boot = async (...options: Parameters<typeof bootSystemd>) => {
  const host = await bootSystemd(...options);
  hosts.push(host);
  return host;
};

/** Zombies of this machine's init may linger. */
function isDead(pid: number): boolean {
  return !existsSync(`/proc/${pid}`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}

describe("a booted host", () => {
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.close();
  });

  it("a host boots a systemd of its own, and leaves nothing", async () => {
    const host = await boot();
    const { stdout } = await host.run("cat /proc/1/comm; systemctl is-system-running; hostname; ls /sys/class/net");
    assert.deepEqual(stdout.trim().split("\n"), ["systemd", "running", host.name, "lo"]);
    const leader = host.leader;
    await host.close();
    assert.ok(isDead(leader), "PID 1 has ended");
    assert.equal(existsSync(host.directory), false);
    assert.deepEqual(cgroupsNamed(host.name), []);
  });

  it("commands inside have an input, an exit code, a bound, and nothing of our environment", async () => {
    const host = await boot();
    assert.equal((await host.run(["cat"], { input: "hello" })).stdout, "hello");
    const failed = await host.run("echo out; echo err >&2; exit 3", { check: false });
    assert.deepEqual(failed, { stdout: "out\n", stderr: "err\n", code: 3 });
    await assert.rejects(host.run("exit 4"), /exit 4 ended with 4/);
    assert.doesNotMatch((await host.run("env")).stdout, /NODE_/);
    await assert.rejects(host.run("sleep 1000 & echo $!; wait", { timeoutMs: 200 }), /not in 200 ms/);
    const child = host.spawn("echo ready; exec sleep 999");
    await until("it runs", () => child.stdout?.read());
    child.kill();
    await until("its end ends what it ran inside", async () => {
      return (await host.run("pgrep -xf 'sleep 999'", { check: false })).code === 1;
    });
  });

  it("units start, stop, and tell what they wrote", async () => {
    const host = await boot();
    host.write("/etc/systemd/system/talk.service", "[Service]\nExecStart=/bin/sh -c 'echo I am up; exec sleep 1000'\n");
    host.write(
      "/etc/systemd/system/bad.service",
      "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no good; exit 1'\n",
    );
    await host.run("systemctl daemon-reload");
    await host.startUnit("talk");
    const pid = await host.show("talk", "MainPID");
    await host.restartUnit("talk");
    assert.notEqual(await host.show("talk", "MainPID"), pid);
    await until("the journal has it", async () => /I am up/.test(await host.journal("talk")));
    await host.stopUnit("talk");
    await host.untilUnit("talk", "inactive");
    await assert.rejects(host.startUnit("bad"), /bad did not start/);
  });

  it("a reboot and a power cut keep what was written, and change the boot id", async () => {
    const host = await boot();
    const bootId = async () => (await host.run("cat /proc/sys/kernel/random/boot_id")).stdout;
    const first = await bootId();
    await host.run("mkdir /etc/kept && echo 1 >/etc/kept/etc && echo 2 >/usr/lib/kept && sync");
    await host.reboot();
    const second = await bootId();
    assert.notEqual(second, first);
    await host.powerCut();
    assert.equal(host.leader, 0);
    await host.boot();
    assert.ok(![first, second].includes(await bootId()));
    assert.equal((await host.run("cat /etc/kept/etc /usr/lib/kept")).stdout, "1\n2\n");
    assert.equal(existsSync("/usr/lib/kept"), false, "this machine's /usr is as it was");
    await host.stop();
    assert.equal(host.leader, 0);
    assert.deepEqual(cgroupsNamed(host.name), []);
  });

  it("several hosts run at once, each with a network and a nats-server of its own", async () => {
    const [one, two] = await Promise.all([boot(), boot()]);
    assert.deepEqual(await Promise.all([one.startNats(), two.startNats()]), Array(2).fill("nats://127.0.0.1:4222"));
    await one.stop();
    assert.equal(await two.show("nats", "ActiveState"), "active");
  });

  it("a test process that is killed takes its host along", async () => {
    const support = new URL("../support/systemd/host.js", import.meta.url).href;
    const code = `const host = await (await import("${support}")).bootSystemd(); console.log(host.leader, host.directory)`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", `${code}; setInterval(() => {}, 1000)`]);
    const [leader = "", directory = ""] = String((await once(child.stdout, "data"))[0])
      .trim()
      .split(" ");
    child.kill("SIGKILL");
    await until("the host is gone", () => isDead(Number(leader)) && !existsSync(directory));
    assert.deepEqual(cgroupsNamed(`slotd-sd-${child.pid}-`), []);
  });

  it("a host that can't boot says what its console said", async () => {
    await assert.rejects(bootSystemd({ nspawn: ["--no-such-option"] }), /no-such-option/);
    assert.deepEqual(cgroupsNamed(`slotd-sd-${process.pid}-`), []);
  });
});
