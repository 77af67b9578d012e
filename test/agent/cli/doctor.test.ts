import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { chooseConfig } from "../../../agent/cli/doctor/config-file.ts";
import { checkInodes, checkSpace } from "../../../agent/cli/doctor/disk.ts";
import { checkOpenFiles, openFilesLimit } from "../../../agent/cli/doctor/limits.ts";
import { checkPort } from "../../../agent/cli/doctor/ports.ts";
import { startNats } from "../../support/nats/server.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { startFakeAgent } from "./support/fake-agent.ts";
import { startPlainNats } from "./support/plain-nats.ts";
import { scratch } from "./support/scratch.ts";
import { slotctl } from "./support/slotctl.ts";
import { host, slot, worker } from "./support/values.ts";

const timeout = 3 * PATIENCE_MS;
const MiB = 1024 ** 2;

interface Found {
  ok: boolean;
  checks: { name: string; ok: "ok" | "warn" | "fail"; found: string; fix?: string }[];
}

interface Setup {
  directory: string;
  nats: string;
  socket?: string;
  port: number;
  command?: string;
  more?: string;
}

async function configure({ directory, nats, socket, port, command = "node", more = "" }: Setup): Promise<string> {
  const path = join(directory, "web.toml");
  const text = `
service = "web"
host = "web1"
bind = "127.0.0.1"
state_directory = "${join(directory, "state")}"
[slots.a]
port = ${port}
[app]
command = ["${command}", "server.js"]
[control]
socket = "${socket ?? join(directory, "none.sock")}"
[nats]
servers = ["${nats}"]
${more}`;
  await writeFile(path, text);
  return path;
}

async function listener(t: TestContext): Promise<{ server: Server; port: number }> {
  const server = createServer((connection) => connection.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

async function freePort(t: TestContext): Promise<number> {
  const { server, port } = await listener(t);
  server.close();
  await once(server, "close");
  return port;
}

async function examine(t: TestContext, config: string): Promise<{ exitCode: number | null; found: Found }> {
  const { exitCode, stdout, stderr } = await slotctl(t, ["doctor", "--config", config, "--json"]);
  assert.equal(stderr, "");
  return { exitCode, found: JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Found };
}

function named(found: Found, name: string): Found["checks"][number] {
  const check = found.checks.find((one) => one.name === name);
  assert.ok(check, `no check ${name} in ${JSON.stringify(found)}`);
  return check;
}

describe("slotctl doctor", () => {
  it("passes a good setup, and exits with 0", { timeout }, async (t) => {
    const nats = await startNats();
    t.after(() => nats.stop());
    const agent = await startFakeAgent(t);
    const { port } = await listener(t);
    agent.status = host([slot({ port })], { pid: process.pid });
    agent.workers = [worker({ pid: process.pid })];
    const directory = await scratch(t);
    await mkdir(join(directory, "state"));
    const config = await configure({ directory, nats: nats.url, socket: agent.socketPath, port });
    const { exitCode, stdout, stderr } = await slotctl(t, ["doctor", "--config", config]);
    assert.equal(stderr, "");
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /^✓ configuration +\S+web\.toml: web; slots a on \d+ with 4 workers$/m);
    assert.match(stdout, /^✓ agent +slotd 9\.8\.7 answers on /m);
    assert.match(stdout, /^✓ bus server +nats:\/\/127\.0\.0\.1:\d+ accepts connections$/m);
    assert.match(stdout, /^✓ bus login +nats-server \S+ accepts our credentials and has JetStream/m);
    assert.match(stdout, new RegExp(`^✓ port of a +${port} is held by the agent \\(pid ${process.pid}\\)$`, "m"));
    assert.match(stdout, /^[✓!] disk space +\S+ \S+ free on \S+state \(\d+%\)$/m);
    assert.match(stdout, /^✓ state directory +\S+state is writable$/m);
    assert.match(stdout, /^[✓!] open files +\d+ allowed in the agent/m);
    assert.match(stdout, /^✓ app command +node is \/\S+\/node$/m);
    assert.match(stdout, /^\d+ checks: 0 failed, \d+ warnings?$/m);
  });

  it("finds what is broken, says how to fix it, and exits with 1", { timeout }, async (t) => {
    const directory = await scratch(t);
    const { port } = await listener(t);
    const config = await configure({
      directory,
      nats: `nats://user:secret@127.0.0.1:${await freePort(t)}`,
      port,
      command: "no-such-program",
    });
    const { exitCode, stdout } = await slotctl(t, ["doctor", "--config", config]);
    assert.equal(exitCode, 1);
    assert.match(
      stdout,
      /^✗ agent +no agent answers on \S+none\.sock .*\n +→ systemctl status slotd@web; journalctl -u slotd@web$/m,
    );
    assert.match(
      stdout,
      /^✗ bus server +nats:\/\/\*\*\*@127\.0\.0\.1:\d+ can't be reached \(ECONNREFUSED\)\n +→ start nats-server there/m,
    );
    assert.match(
      stdout,
      new RegExp(`^✗ port of a +${port} is taken by process ${process.pid} \\(.*node.*\\n +→ end that process`, "m"),
    );
    assert.match(stdout, /^✓ state directory +\S+state does not exist yet, but can be created$/m);
    assert.match(stdout, /^✗ app command +no-such-program is not on the PATH/m);
    assert.match(stdout, /checks: 4 failed, /);
    assert.ok(!stdout.includes("bus login"), "no server, no login");
    assert.ok(!stdout.includes("secret"));
  });

  it("fails on a configuration that breaks a rule, and names the key", { timeout }, async (t) => {
    const config = await configure({ directory: await scratch(t), nats: "127.0.0.1", port: 8000, more: "typo = 1\n" });
    const { exitCode, found } = await examine(t, config);
    assert.equal(exitCode, 1);
    assert.equal(found.ok, false);
    assert.deepEqual(
      found.checks.map((check) => check.name),
      ["configuration"],
    );
    assert.match(found.checks[0]?.found ?? "", /nats\.typo is not a known key/);
  });

  it("fails if the agent on the socket runs another service", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.status = host([slot()], { service: "api" });
    const config = await configure({
      directory: await scratch(t),
      nats: `127.0.0.1:${await freePort(t)}`,
      socket: agent.socketPath,
      port: await freePort(t),
    });
    const { exitCode, found } = await examine(t, config);
    assert.equal(exitCode, 1);
    assert.match(named(found, "agent").found, /runs service api, not web$/);
    assert.match(named(found, "port of a").found, /is free$/);
  });

  it("recognizes a worker that outlived its agent on its slot's port", { timeout }, async (t) => {
    const script =
      'const s = require("net").createServer().listen(0, "127.0.0.1", () => console.log(s.address().port))';
    const survivor = spawn(process.execPath, ["-e", script], {
      env: { SLOTD_SERVICE: "web", SLOTD_SLOT: "a" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(survivor, "close");
    t.after(async () => {
      survivor.kill("SIGKILL");
      await ended;
    });
    const [line] = await once(survivor.stdout, "data");
    const port = Number(String(line));
    const config = await configure({ directory: await scratch(t), nats: `127.0.0.1:${await freePort(t)}`, port });
    const { found } = await examine(t, config);
    assert.equal(named(found, "port of a").ok, "ok");
    assert.equal(named(found, "port of a").found, `${port} is held by slot a's worker (pid ${survivor.pid})`);
  });

  describe("on a port whose socket systemd keeps, too", () => {
    const manager = { pid: 1, command: "/lib/systemd/systemd --system" };
    const at = (port: number) => ({ service: "web", slot: "a", address: "127.0.0.1", port });
    const live = (port: number, socket: "stored" | "none") => ({
      status: host([slot({ port, socket })], { pid: process.pid }),
      workers: [worker({ pid: 4_000_001 })],
    });
    const other = { pid: 4_000_002, command: "nginx" };

    it("recognizes the agent and its workers beside it", async (t) => {
      const { port } = await listener(t);
      const agent = live(port, "stored");
      assert.deepEqual(
        [
          checkPort(at(port), agent, [manager, { pid: process.pid, command: "slotd" }]),
          checkPort(at(port), agent, [manager, { pid: 4_000_001, command: "node" }]),
          checkPort(at(port), agent, [manager]),
          checkPort(at(port), null, [manager]),
        ].map(({ ok }) => ok),
        ["ok", "ok", "ok", "ok"],
      );
    });

    it("fails where the agent does not have the socket, and never says to end PID 1", async (t) => {
      const { port } = await listener(t);
      const alone = checkPort(at(port), live(port, "none"), [manager]);
      assert.deepEqual([alone.ok, alone.fix?.includes("systemctl list-sockets")], ["fail", true]);
      const taken = checkPort(at(port), live(port, "none"), [other]);
      assert.match(`${taken.found} → ${taken.fix}`, /taken by process 4000002 \(nginx\) → end that process/);
    });

    it("does not call a process that can't be seen another user's: it may be in another PID namespace", async (t) => {
      const { port } = await listener(t);
      const unseen = checkPort(at(port), live(port, "none"), []);
      assert.deepEqual(
        [unseen.ok, unseen.found],
        ["warn", `${port} is taken by a process that can't be seen from here`],
      );
      assert.match(unseen.fix ?? "", /containers and other PID namespaces/);
    });
  });

  it("says what to do about each warning of the agent", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const warnings = ["limits.pids_max can't be enforced: no cgroup; run it as slotd@.service does", "it is odd"];
    agent.status = host([slot()], { pid: process.pid, warnings });
    const config = await configure({
      directory: await scratch(t),
      nats: `127.0.0.1:${await freePort(t)}`,
      socket: agent.socketPath,
      port: await freePort(t),
    });
    const { stdout } = await slotctl(t, ["doctor", "--config", config]);
    assert.match(
      stdout,
      /^! agent +limits\.pids_max can't be enforced: no cgroup\n +→ run it as slotd@\.service does$/m,
    );
    assert.match(stdout, /^! agent +it is odd\n +→ journalctl -u slotd@web may say more$/m);
  });

  it("distinguishes a bus that refuses our credentials from one without JetStream", { timeout }, async (t) => {
    const directory = await scratch(t);
    const password = join(directory, "password");
    await writeFile(password, "wrong\n");
    const port = await freePort(t);
    const login = `user = "agent"\npassword_file = "${password}"\n`;
    const guarded = await startPlainNats(t, "--user", "agent", "--pass", "right");
    const config = await configure({ directory, nats: `127.0.0.1:${guarded}`, port, more: login });
    const refused = named((await examine(t, config)).found, "bus login");
    assert.equal(refused.ok, "fail");
    assert.match(refused.found, /^the bus refused us \(.*Authorization/i);
    assert.match(refused.fix ?? "", /credentials/);

    await writeFile(password, "right\n");
    const bare = named((await examine(t, config)).found, "bus login");
    assert.equal(bare.ok, "fail");
    assert.match(bare.found, /accepts our credentials, but JetStream does not answer/);

    await configure({ directory, nats: `127.0.0.1:${guarded}`, port, more: login.replace('password"', 'gone"') });
    assert.match(named((await examine(t, config)).found, "bus login").found, /gone can't be read \(ENOENT\)$/);
  });

  it("waits only two seconds for a server that accepts connections and sends nothing", { timeout }, async (t) => {
    const silent = await listener(t);
    const config = await configure({
      directory: await scratch(t),
      nats: `127.0.0.1:${silent.port}`,
      port: await freePort(t),
    });
    const { exitCode, found } = await examine(t, config);
    assert.equal(exitCode, 1);
    assert.equal(named(found, "bus server").ok, "ok");
    const login = named(found, "bus login");
    assert.equal(login.ok, "fail");
    assert.match(login.found, /2000 ms|timeout/i);
  });

  it("looks up a command with a slash in the newest release", { timeout }, async (t) => {
    const directory = await scratch(t);
    const config = await configure({
      directory,
      nats: `127.0.0.1:${await freePort(t)}`,
      port: await freePort(t),
      command: "bin/serve",
    });
    const before = named((await examine(t, config)).found, "app command");
    assert.equal(before.ok, "warn");
    assert.match(before.found, /no release yet/);

    const bin = join(directory, "state", "releases", "1.0.0", "tree", "bin");
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, "serve"), "#!/bin/sh\n");
    const unrunnable = named((await examine(t, config)).found, "app command");
    assert.equal(unrunnable.ok, "fail");
    assert.match(unrunnable.found, /1\.0\.0\/tree\/bin\/serve can't be run \(it is not executable\)$/);
    await chmod(join(bin, "serve"), 0o755);
    assert.equal(named((await examine(t, config)).found, "app command").ok, "ok");
  });

  it("uses the named configuration, else the service's, else the only one", { timeout }, async (t) => {
    const configDirectory = await scratch(t);
    assert.throws(() => chooseConfig({ configDirectory }), /there is no configuration in .*--config FILE/);
    await writeFile(join(configDirectory, "web.toml"), "");
    assert.equal(chooseConfig({ configDirectory }), join(configDirectory, "web.toml"));
    await writeFile(join(configDirectory, "api.toml"), "");
    assert.throws(() => chooseConfig({ configDirectory }), /several services are configured here \(api, web\)/);
    assert.equal(chooseConfig({ configDirectory, service: "api" }), join(configDirectory, "api.toml"));
    assert.equal(chooseConfig({ configDirectory, service: "api", config: "./x.toml" }), "./x.toml");
  });

  it("warns below 15 % of free disk space, and fails below 5 % or 100 MiB", () => {
    const space = (bavail: number, blocks: number) => checkSpace("/x", { bsize: MiB, blocks, bavail }).ok;
    assert.deepEqual([space(1500, 10_000), space(1499, 10_000)], ["ok", "warn"]);
    assert.deepEqual([space(500, 10_000), space(499, 10_000)], ["warn", "fail"]);
    assert.deepEqual([space(100, 200), space(99, 200)], ["ok", "fail"]);
  });

  it("warns below 15 % of free inodes, fails below 5 %, and passes if there is no fixed number", () => {
    const inodes = (ffree: number, files: number) => checkInodes("/x", { files, ffree }).ok;
    assert.deepEqual(
      [inodes(15, 100), inodes(14, 100), inodes(5, 100), inodes(4, 100)],
      ["ok", "warn", "warn", "fail"],
    );
    assert.equal(inodes(0, 0), "ok");
  });

  it("warns below 4096 open files, and below 64 per worker", async (t) => {
    const file = join(await scratch(t), "limits");
    await writeFile(
      file,
      "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n",
    );
    assert.equal(openFilesLimit(file), 1024);
    await writeFile(file, "Max open files            unlimited            unlimited            files     \n");
    assert.equal(openFilesLimit(file), Number.POSITIVE_INFINITY);
    assert.equal(openFilesLimit(join(file, "none")), null);
    const limit = openFilesLimit("/proc/self/limits") ?? 0;
    const tooMany = Math.floor(limit / 64) + 1;
    assert.equal(checkOpenFiles(tooMany, null).ok, "warn");
    assert.match(checkOpenFiles(tooMany, process.pid).found, /in the agent, fewer than/);
  });
});
