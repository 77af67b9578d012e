import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { HostStatus } from "../../protocol/index.ts";
import { repository } from "../support/release.ts";
import { buildPackage } from "../support/systemd-package.ts";
import { bootUml, type UmlMachine } from "../support/uml-machine.ts";
import { until } from "../support/until.ts";

/** The package under a real systemd and real cgroup v2 controllers. Each test of the agent goes on where the one before it ended. */

const UNIT = "slotd@web";
const CONFIGURATION = `service = "web"
host = "h1"
bind = "127.0.0.1"
app = { command = ["/usr/lib/slotd/bin/node", "server.mjs"], workers = 4 }
health = { path = "/", interval_ms = 500, timeout_ms = 5000 }
readiness = { hold_ms = 50 }
drain = { pause_ms = 50, timeout_ms = 2000, quiet_ms = 200 }
`;
/** Every program takes a second to start on this machine. */
const SLOW_MS = 60_000;

let machine: UmlMachine;

before(async () => {
  const deb = await buildPackage();
  machine = await bootUml({
    async prepare(machine) {
      await machine.install(deb);
      machine.write("/etc/slotd/web.toml", CONFIGURATION);
    },
  });
});

after(() => machine?.close());

const run = (command: string, check = true) => machine.run(command, { timeoutMs: SLOW_MS, check });

// --- the machine

/** What runs in a machine's mount namespace. No other process sees its mounts. */
function processesOf(directory: string): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/mountinfo`, "utf8").includes(directory)
        ? [Number(pid)]
        : [];
    } catch {
      return [];
    }
  });
}

test("systemd is up, on a kernel with the controllers cpu, memory and pids", async () => {
  assert.equal((await run("cat /proc/1/comm; systemctl is-system-running")).stdout, "systemd\nrunning\n");
  const controllers = (await run("cat /sys/fs/cgroup/cgroup.controllers")).stdout.trim().split(" ");
  for (const name of ["cpu", "memory", "pids"]) assert.ok(controllers.includes(name), `${name} of ${controllers}`);
  assert.equal((await run("ls /sys/class/net")).stdout, "lo\n");
});

test("commands have an input, an exit code, a bound, and run side by side", async () => {
  assert.equal((await machine.run(["cat"], { input: "it's here" })).stdout, "it's here");
  assert.doesNotMatch((await run("env")).stdout, /NODE_|INVOCATION_ID/);
  assert.equal((await run("pwd; cat /proc/self/oom_score_adj")).stdout, "/\n0\n");
  const failed = await run("echo out; echo err >&2; exit 3", false);
  assert.deepEqual(failed, { stdout: "out\n", stderr: "err\n", code: 3 });
  await assert.rejects(run("exit 4"), /exit 4 ended with 4/);
  const late = machine.run("echo begun; sleep 999 & wait", { timeoutMs: 2_000 });
  await Promise.all([assert.rejects(late, /not in 2000 ms.*\nbegun/), run("true")]);
  assert.equal((await run("pgrep -xf 'sleep 999'", false)).code, 1);
});

test("limits hold: memory by the OOM killer, processes by a refusal, processor time by waiting", async () => {
  const limited = (property: string, command: string) =>
    run(`systemd-run --wait --collect --quiet --pipe --unit=limited -p ${property} ${command}`, false);
  const eats = "-p MemorySwapMax=0 dd if=/dev/zero of=/dev/null bs=128M count=1";
  assert.equal((await limited("MemoryMax=256M", eats)).code, 0);
  assert.notEqual((await limited("MemoryMax=32M", eats)).code, 0);
  assert.match((await run("journalctl --no-pager --unit=limited")).stdout, /Failed with result 'oom-kill'/);
  const forks = await limited("TasksMax=3", "/bin/bash -c 'for i in 1 2 3 4 5; do sleep 0.1 & done; wait'");
  assert.match(forks.stderr, /fork: .*Resource temporarily unavailable/);
  const stat = "cat /sys/fs/cgroup/system.slice/limited.service/cpu.stat";
  const burns = await limited("CPUQuota=20%", `/bin/bash -c 'for ((i = 0; i < 20000; i++)); do :; done; ${stat}'`);
  assert.match(burns.stdout, /^nr_throttled [1-9]/m);
});

test("a test process that is killed takes its machine along, mounts and directory too", async () => {
  const support = new URL("../support/uml-machine.js", import.meta.url).href;
  const code = `const { bootUml } = await import("${support}");
    await bootUml({ prepare: (machine) => console.log(machine.directory) }).catch(() => {});`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code]);
  const directory = String((await once(child.stdout, "data"))[0]).trim();
  await until("its kernel speaks", () => statSync(join(directory, "console.log")).size > 0);
  assert.notEqual(processesOf(directory).length, 0);
  child.kill("SIGKILL");
  await until("it is gone", () => processesOf(directory).length === 0 && !existsSync(directory));
});

// --- the agent

async function json<T>(command: string): Promise<T> {
  const { stdout } = await run(`${command} --json`);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as T;
}

const agent = () => machine.show(UNIT, "MainPID");
const slot = async (name: string) => (await json<HostStatus>("slotctl status")).slots[name];
/** As the kernel has them: slotctl takes a second here. */
const pids = async () => (await run("pgrep -fx '/usr/lib/slotd/bin/node server.mjs'")).stdout.trim().split("\n").sort();

/** An agent that is not that one has told systemd that the slot serves. */
const untilServing = (name: string, before = "0") =>
  until(
    `slot ${name} serves`,
    async () => {
      const lines = (await run(`systemctl show -P MainPID -P ActiveState -P StatusText ${UNIT}`)).stdout.split("\n");
      const serves = lines.some((line) => line.includes(`${name}: serving 1 (2/2)`));
      return serves && lines.includes("active") && !lines.includes(before);
    },
    { timeoutMs: SLOW_MS, everyMs: 200 },
  );

test("the packaged agent starts inside all of its unit's restrictions, and deploys a release", async () => {
  await machine.startNats();
  mkdirSync(join(machine.share, "app"));
  cpSync(join(repository, "examples/hello/server.mjs"), join(machine.share, "app/server.mjs"));
  await run("tar -czf /srv/share/app.tar.gz -C /srv/share/app .");
  await run(`systemctl enable --now ${UNIT} || { journalctl --no-pager -u ${UNIT} >&2; false; }`);
  assert.equal(await machine.show(UNIT, "Type"), "notify");
  await run("slotd-controller publish web 1 /srv/share/app.tar.gz");
  await run("slotd-controller install web 1 --slot a --host h1 --wait --timeout 50000");
  await untilServing("a");
});

test("restart keeps the workers, on the socket that systemd kept", async () => {
  const before = { agent: await agent(), workers: await pids() };
  assert.equal(before.workers.length, 2);
  await run(`systemctl restart ${UNIT}`);
  await untilServing("a", before.agent);
  assert.deepEqual(await pids(), before.workers, await machine.journal(UNIT));
  assert.equal((await slot("a"))?.socket, "stored");
});
