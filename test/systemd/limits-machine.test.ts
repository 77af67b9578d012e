import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Event } from "../../protocol/event.ts";
import type { HostStatus } from "../../protocol/host-status.ts";
import { fixtureApps, repository } from "../support/release.ts";
import { buildPackage } from "../support/systemd/package.ts";
import { jsonOf } from "../support/systemd/slotd.ts";
import { bootUml, type UmlMachine } from "../support/uml/machine.ts";
import { until } from "../support/until.ts";

/**
 * The package under a real systemd and real cgroup v2 controllers. Each test of the agent goes on where the one before
 * it ended.
 */

const UNIT = "slotd@web";
const APP = `command = ["/usr/lib/slotd/bin/node", "server.mjs"], workers = 4`;
const CONFIGURATION = `service = "web"
host = "h1"
bind = "127.0.0.1"
app = { ${APP} }
health = { path = "/", interval_ms = 500, timeout_ms = 5000 }
readiness = { hold_ms = 50 }
drain = { pause_ms = 50, timeout_ms = 2000, quiet_ms = 200 }
`;
/** Every program takes a second to start on this machine. */
const SLOW_MS = 90_000;

let machine: UmlMachine;

describe("the packaged agent on a kernel of its own", () => {
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

  it("systemd is up, on a kernel with the controllers cpu, memory and pids", async () => {
    assert.equal((await run("cat /proc/1/comm; systemctl is-system-running")).stdout, "systemd\nrunning\n");
    const controllers = (await run("cat /sys/fs/cgroup/cgroup.controllers")).stdout.trim().split(" ");
    for (const name of ["cpu", "memory", "pids"]) assert.ok(controllers.includes(name), `${name} of ${controllers}`);
    assert.equal((await run("ls /sys/class/net")).stdout, "lo\n");
  });

  it("commands have an input, an exit code, a bound, and run side by side", async () => {
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

  it("limits hold: memory by the OOM killer, processes by a refusal, processor time by waiting", async () => {
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

  it("a test process that is killed takes its machine along, mounts and directory too", async () => {
    const support = new URL("../support/uml/machine.js", import.meta.url).href;
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

  const json = <T>(command: string) => jsonOf<T>(run, command);

  const agent = () => machine.show(UNIT, "MainPID");
  const slot = async (name: string) => (await json<HostStatus>("slotctl status")).slots[name];
  /** As the kernel has them: slotctl takes a second here. */
  const pids = async () =>
    (await run("pgrep -fx '/usr/lib/slotd/bin/node server.mjs'")).stdout.trim().split("\n").sort();

  /** An agent that is not that one has told systemd that the slot serves. */
  const untilServing = (name: string, before = "0", version = "1") =>
    until(
      `slot ${name} serves`,
      async () => {
        const lines = (await run(`systemctl show -P MainPID -P ActiveState -P StatusText ${UNIT}`)).stdout.split("\n");
        const serves = lines.some((line) => line.includes(`${name}: serving ${version} (2/2)`));
        return serves && lines.includes("active") && !lines.includes(before);
      },
      { timeoutMs: SLOW_MS, everyMs: 200 },
    );

  it("the packaged agent starts inside all of its unit's restrictions, and deploys a release", async () => {
    await machine.startNats();
    mkdirSync(join(machine.share, "app"));
    cpSync(join(repository, "examples/hello/server.mjs"), join(machine.share, "app/server.mjs"));
    await run("tar -czf /srv/share/app.tar.gz -C /srv/share/app .");
    await run(`systemctl enable --now ${UNIT} || { journalctl --no-pager -u ${UNIT} >&2; false; }`);
    assert.equal(await machine.show(UNIT, "Type"), "notify");
    await run("slotd-controller publish web 1 /srv/share/app.tar.gz");
    await run("slotd-controller install web 1 --slot a --host h1 --wait --timeout 80000");
    await untilServing("a");
  });

  it("restart keeps the workers, on the socket that systemd kept", async () => {
    const before = { agent: await agent(), workers: await pids() };
    assert.equal(before.workers.length, 2);
    await run(`systemctl restart ${UNIT}`);
    await untilServing("a", before.agent);
    assert.deepEqual(await pids(), before.workers, await machine.journal(UNIT));
    assert.equal((await slot("a"))?.socket, "stored");
  });

  // --- limits

  const MIB = 2 ** 20;
  const MEMORY = 128 * MIB;
  const PIDS = 40;
  /** The unit's, once it runs. */
  let cgroup = "";
  let limits = { memory_max_bytes: MEMORY, pids_max: PIDS };

  /** Gives the agent this configuration, in the way that an operator does. */
  async function reload(): Promise<void> {
    const before = await agent();
    const app = `app = { ${APP}, user = "nobody", secrets = { PASSWORD = { credential = "db" } } }`;
    const slots = "slots = { a = { port = 8000, cpu_weight = 200 }, b = { port = 8001 } }";
    const written = `limits = { memory_max_bytes = ${limits.memory_max_bytes}, pids_max = ${limits.pids_max} }`;
    machine.write("/etc/slotd/web.toml", [CONFIGURATION.replace(/^app = .*$/m, app), slots, written].join("\n"));
    await run(`systemctl reload ${UNIT}`);
    await untilServing("a", before);
  }

  /** A worker's group, with what is set for it and who is in it. */
  async function groups(): Promise<string[]> {
    const each = "echo $group $(cat $group/{memory.max,memory.oom.group,pids.max,cgroup.procs})";
    return (await run(`cd ${cgroup} && for group in slot-*/worker-*; do ${each}; done`)).stdout
      .trim()
      .split("\n")
      .sort();
  }

  const file = async (path: string) => (await run(`cat ${cgroup}/${path}`)).stdout.trim();
  const pidsOf = async (name: string) =>
    (await run(`cat ${cgroup}/slot-${name}/*/cgroup.procs`)).stdout.trim().split("\n");

  /** What the app answers; nothing where it ends meanwhile. */
  async function ask(path: string, port = 8001): Promise<{ pid: number; forked: string[] } | null> {
    const request = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
    const { stdout } = await run(request, false);
    return stdout.includes("{") ? JSON.parse(stdout.slice(stdout.indexOf("{"))) : null;
  }

  it("a reload sets the limits and weights of workers that run, which stay", async () => {
    const dropIn = "/etc/systemd/system/slotd@web.service.d/credentials.conf";
    machine.write(dropIn, "[Service]\nLoadCredential=db:/etc/slotd/db-password\n");
    machine.write("/etc/slotd/db-password", "swordfish\n", 0o600);
    await run("systemctl daemon-reload");
    cgroup = `/sys/fs/cgroup${await machine.show(UNIT, "ControlGroup")}`;
    const before = await pids();
    assert.deepEqual(
      (await groups()).map((line) => line.split(" ").slice(1, 4)),
      [
        ["max", "1", "max"],
        ["max", "1", "max"],
      ],
    );
    await reload();
    assert.deepEqual(await pids(), before);
    assert.deepEqual(
      await groups(),
      before.map((pid, i) => `slot-a/worker-${i} ${MEMORY} 1 ${PIDS} ${pid}`),
      await machine.journal(UNIT),
    );
    assert.equal(await file("slot-a/cpu.weight"), "200");
    assert.deepEqual((await json<HostStatus>("slotctl status")).controllers, ["cpu", "memory", "pids"]);
  });

  it("workers of another user, with a credential of systemd's as a secret, start inside the unit's restrictions", async () => {
    cpSync(join(fixtureApps, "hungry.mjs"), join(machine.share, "app/server.mjs"));
    await run("tar -czf /srv/share/hungry.tar.gz -C /srv/share/app .");
    await run("slotd-controller publish web 2 /srv/share/hungry.tar.gz");
    await run("slotd-controller install web 2 --slot b --host h1 --wait --timeout 80000");
    const [pid] = await pidsOf("b");
    const environment = (await run(`tr '\\0' '\\n' </proc/${pid}/environ`)).stdout.split("\n");
    assert(environment.includes("PASSWORD=swordfish"));
    assert(!environment.some((line) => line.startsWith("CREDENTIALS_DIRECTORY=")));
    const status = (await run(`cat /proc/${pid}/status`)).stdout;
    for (const line of [/^Uid:\t65534\t65534/m, /^CapEff:\t0+$/m, /^CapPrm:\t0+$/m, /^NoNewPrivs:\t1$/m])
      assert.match(status, line);
    assert.equal(await file("slot-b/cpu.weight"), "100");
    const set = (await groups()).filter((line) => line.startsWith("slot-b")).map((line) => line.split(" ").slice(1, 4));
    assert.deepEqual(set, Array(2).fill([String(MEMORY), "1", String(PIDS)]));
    assert.doesNotMatch(await machine.journal(UNIT), /swordfish/);
  });

  it("a worker that eats more than its memory is killed, said to be, and started again; no other one is touched", async () => {
    const before = { a: await pidsOf("a"), b: await pidsOf("b") };
    assert.equal(await ask(`/eat?bytes=${2 * MEMORY}`), null);
    const whole = await until(
      "slot b has another worker",
      async () => {
        const { lastEnd, workers } = (await slot("b")) ?? {};
        return lastEnd && workers?.restarts === 1 && workers.ready === 2 ? { lastEnd } : null;
      },
      { timeoutMs: SLOW_MS },
    );
    const after = { a: await pidsOf("a"), b: await pidsOf("b") };
    assert.deepEqual(after.a, before.a);
    const [victim, ...more] = before.b.filter((pid) => !after.b.includes(pid));
    assert.deepEqual(more, []);
    const { reason, signal, pid } = whole.lastEnd;
    assert.deepEqual([reason, signal, pid], ["oom", "SIGKILL", Number(victim)]);
    const events = (await run("slotctl events --json")).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Event);
    const told = events.find(({ facts }) => facts?.reason === "oom");
    assert.match(told?.message ?? "", /out of memory/);
    assert.equal(told?.facts?.pid, Number(victim));
    // The next one has the limit too.
    assert.equal((await groups()).filter((line) => line.includes(` ${MEMORY} 1 ${PIDS} `)).length, 4);
  });

  it("a worker can't have more processes than it may", async () => {
    const { forked = [] } = (await ask(`/fork?count=${PIDS}`)) ?? {};
    assert.equal(forked.length, PIDS);
    assert(forked.includes("EAGAIN"), forked.join());
    const started = forked.filter((result) => result === "started").length;
    assert(started > 0 && started < PIDS, forked.join());
    assert.match((await run(`cat ${cgroup}/slot-b/*/pids.events`)).stdout, /^max [1-9]/m);
  });

  it("restart, and kill -9 of the agent, change no process, and all limits are set again", async () => {
    const before = await groups();
    const stays = async (command: string) => {
      const old = await agent();
      await run(command);
      await untilServing("a", old);
      await untilServing("b", old, "2");
      assert.deepEqual(await groups(), before, await machine.journal(UNIT));
      assert.deepEqual([await file("slot-a/cpu.weight"), await file("slot-b/cpu.weight")], ["200", "100"]);
    };
    await stays(`systemctl restart ${UNIT}`);
    await stays(`systemctl kill --kill-whom=main --signal=KILL ${UNIT}`);
  });

  it("a reload with less memory than a worker uses does not end it", async () => {
    const { pid } = (await ask(`/eat?bytes=${48 * MIB}`)) ?? {};
    const before = await groups();
    limits = { ...limits, memory_max_bytes: 32 * MIB };
    await reload();
    await untilServing("b", "0", "2");
    assert((await pidsOf("b")).includes(String(pid)));
    assert.deepEqual(
      (await groups()).map((line) => line.split(" ").slice(3)),
      before.map((line) => line.split(" ").slice(3)),
      await machine.journal(UNIT),
    );
  });

  it("after a stop no process is left, and no group", async () => {
    await run(`systemctl stop ${UNIT}`);
    assert.equal((await run("pgrep -fx '/usr/lib/slotd/bin/node server.mjs'", false)).stdout, "");
    assert.equal((await run(`ls -d ${cgroup}`, false)).stdout, "");
    assert.equal(await machine.show(UNIT, "Result"), "success");
  });

  it("an agent that finds a limit in force does not lower it below what a worker uses", async () => {
    // It is started by a shell in its own group, so that nobody has to take the controllers away between two agents.
    const configure = (memory: number) =>
      machine.write(
        "/etc/slotd/bare.toml",
        [
          CONFIGURATION.replace('service = "web"', 'service = "bare"').replace(/^app = .*$/m, `app = { ${APP} }`),
          "slots = { a = { port = 9000, workers = 1 } }",
          `limits = { memory_max_bytes = ${memory} }`,
        ].join("\n"),
      );
    configure(MEMORY);
    const top = "/sys/fs/cgroup/slotd.slice/bare.service";
    const enter = `mkdir ${top}/agent && echo $$ >${top}/agent/cgroup.procs`;
    machine.write("/etc/slotd/bare.sh", `${enter}; while :; do slotd --config /etc/slotd/bare.toml; done`);
    await run(
      "systemd-run --quiet --unit=bare --slice=slotd --property=Delegate=yes /bin/sh /etc/slotd/bare.sh && mkdir -p /run/slotd",
    );
    const started = (times: number) =>
      until(
        "the agent is started",
        async () => (await machine.journal("bare")).match(/"msg":"agent started"/g)?.length === times,
        { timeoutMs: SLOW_MS, everyMs: 500 },
      );
    await started(1);
    await run("slotd-controller publish bare 1 /srv/share/hungry.tar.gz");
    await run("slotd-controller install bare 1 --slot a --host h1 --wait --timeout 80000");
    const { pid } = (await ask(`/eat?bytes=${64 * MIB}`, 9000)) ?? {};
    const now = async () =>
      (await run(`cd ${top}/slot-a/worker-0; cat cgroup.procs memory.max pids.max`)).stdout.trim().split("\n");
    assert.deepEqual(await now(), [String(pid), String(MEMORY), "max"]);
    configure(64 * MIB);
    await run("pkill -HUP -f 'slotd.js --config /etc/slotd/bare.toml'");
    await started(2);
    assert.deepEqual(await now(), [String(pid), String(MEMORY), "max"]);
    assert.match(await machine.journal("bare"), /worker uses more than its new limit: not set yet/);
    await run("systemctl stop bare");
  });
});
