import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { findAccount } from "../../agent/os/account.ts";
import type { Host, Settings } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";

/** These tests are run as root, on a host with the users that every Debian has. */
const USER = { name: "daemon", uid: 1, gid: 1, home: "/usr/sbin" };
const GROUPS = { adm: 4, games: 60 };

interface Answer {
  pid: number;
  env: Record<string, string>;
  reading: string | null;
}

/** What the kernel says of a process: proc(5), status and limits. */
function standing(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const field = (name: string) =>
    (new RegExp(`^${name}:(.*)$`, "m").exec(status)?.[1] ?? "").split(/\s+/).filter(Boolean);
  const limits = readFileSync(`/proc/${pid}/limits`, "latin1");
  const limit = (name: string) => new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, "m").exec(limits)?.slice(1) ?? [];
  return {
    uids: field("Uid"),
    gids: field("Gid"),
    groups: field("Groups").map(Number),
    umask: field("Umask")[0],
    noNewPrivileges: field("NoNewPrivs")[0],
    capabilities: ["CapInh", "CapPrm", "CapEff", "CapAmb"].flatMap(field),
    openFiles: limit("Max open files"),
    core: limit("Max core file size"),
  };
}

const four = (id: number) => Array(4).fill(String(id));
const NONE = Array(4).fill("0".repeat(16));

describe("workers of a configured user", () => {
  const hosts = useHosts();
  const app = (more: Settings, command = [process.execPath, "reads.mjs"]) => ({
    app: { command, workers: 2, ...more },
  });
  /** Its directory is a temporary one, which is its owner's alone. */
  const open = (host: Host) => chmodSync(host.directory, 0o755);
  const release = (host: Host, version = "1") => makeRelease(host.archives, version, { app: "reads.mjs" });
  const reconfigured = async (host: Host, settings: Settings) => {
    host.configure(settings);
    await host.endAgent("SIGUSR2");
    await host.startAgent();
  };

  it("are that user, in its groups and the given ones, at home there, with the limits and no capability", async () => {
    const who = { user: "daemon", group: "nogroup", supplementary_groups: ["adm", GROUPS.games], umask: "0027" };
    const settings = { ...app(who), limits: { nofile: 512, core_bytes: 4096 } };
    const host = await hosts.start(settings);
    open(host);
    await host.installed("a", await release(host));
    const { pid, env } = await host.get<Answer>("a");
    const nogroup = Number(execFileSync("getent", ["group", "nogroup"], { encoding: "utf8" }).split(":")[2]);
    assert.deepEqual(standing(pid), {
      uids: four(USER.uid),
      gids: four(nogroup),
      groups: [GROUPS.adm, GROUPS.games],
      umask: "0027",
      noNewPrivileges: "1",
      capabilities: NONE,
      openFiles: ["512", "512"],
      core: ["4096", "4096"],
    });
    assert.equal(env.LISTEN_PID, String(pid));
    assert.deepEqual([env.HOME, env.USER, env.LOGNAME], [USER.home, USER.name, USER.name]);
    assert.equal(env.SHELL, "/usr/sbin/nologin");
    assert.equal(env.SLOTD_ADJUST, undefined);

    // By number, with nothing beside it: those that run are taken over as they are.
    await reconfigured(host, app({ user: USER.uid, no_new_privileges: false }));
    await host.untilState("a", "serving");
    await host.installed("b", await release(host, "2"));
    assert.equal((await host.get<Answer>("a")).pid, pid);
    const other = standing((await host.get<Answer>("b")).pid);
    assert.deepEqual([other.uids, other.gids, other.groups], [four(USER.uid), four(USER.gid), []]);
    assert.deepEqual([other.noNewPrivileges, other.capabilities], ["0", NONE]);
  });

  it("are the agent's own user where none is configured, and gain no rights by programs even so", async () => {
    const host = await hosts.start(app({}));
    await host.installed("a", await release(host));
    const { pid, env } = await host.get<Answer>("a");
    const { uids, gids, noNewPrivileges } = standing(pid);
    assert.deepEqual([uids, gids, noNewPrivileges], [four(0), four(0), "1"]);
    assert.deepEqual([env.HOME, env.LISTEN_PID], [process.env.HOME, String(pid)]);
  });

  it("can read the release, and not the journal, the token, or the other workers' output", async () => {
    const host = await hosts.start(app({ user: "nobody" }));
    open(host);
    await host.installed("a", await release(host));
    const reading = async (path: string) =>
      (await host.get<Answer>("a", `/?path=${encodeURIComponent(join(host.state, path))}`)).reading;
    assert.equal(await reading("releases/1/tree/version.txt"), "read");
    for (const path of ["journal.json", "token", "logs/a-0.log"]) assert.equal(await reading(path), "EACCES", path);
    for (const name of readdirSync(host.state)) {
      const { mode } = statSync(join(host.state, name));
      assert.equal(mode & 0o022, 0, `${name} can be written by its owner alone`);
    }
    assert.equal(statSync(join(host.state, "journal.json")).mode & 0o777, 0o600);
    assert.equal(statSync(join(host.state, "token")).mode & 0o777, 0o600);
  });

  it("are taken over after kill -9 of the agent, with the socket back", async () => {
    const host = await hosts.start(app({ user: "nobody" }));
    open(host);
    await host.installed("a", await release(host));
    const pids = await host.pids("a");
    await host.killAgent();
    await host.startAgent();
    await host.untilState("a", "serving");
    assert.deepEqual(await host.pids("a"), pids);
    // The next one gets the socket from the agent, which had to take it from a worker.
    process.kill(pids[0] as number, "SIGKILL");
    await host.untilSlot("a", "has another worker", ({ workers }) => workers.restarts === 1 && workers.ready === 1);
    assert.notEqual((await host.get<Answer>("a")).pid, pids[0]);
    await host.untilOrder("a", await host.uninstall("a", "1"));
  });

  it("can't be started as a user or in a group that is not there, which costs nobody else anything", async () => {
    const host = await hosts.start(app({ user: "nobody" }));
    open(host);
    await host.installed("a", await release(host));
    const pids = await host.pids("a");
    const unknown: [Settings, string][] = [
      [{ user: "no-such-user" }, "user no-such-user"],
      [{ user: 3_999_999 }, "user 3999999"],
      [{ user: "nobody", group: "no-such-group" }, "group no-such-group"],
      [{ user: "nobody", supplementary_groups: ["adm", "no-such-group"] }, "group no-such-group"],
    ];
    for (const [round, [who, named]] of unknown.entries()) {
      await reconfigured(host, app(who));
      await host.untilState("a", "serving");
      const id = await host.install("b", await release(host, `b${round}`));
      const { order, lastError, state } = await host.untilOrder("b", id);
      assert.deepEqual([order?.outcome, state], ["failed", "failed"]);
      assert.equal(lastError?.code, "ACCOUNT_UNKNOWN");
      assert(lastError.message.includes(`there is no ${named} on this host`), lastError.message);
      assert.deepEqual(await host.pids("a"), pids);
      assert.equal((await host.slot("a")).state, "serving");
    }
  });

  it("serve on where the next version's could not be started", async () => {
    const host = await hosts.start(app({ user: "nobody" }));
    open(host);
    await host.installed("a", await release(host));
    const pids = await host.pids("a");
    await reconfigured(host, app({ user: "no-such-user" }));
    await host.untilState("a", "serving");
    const { order, state, version } = await host.untilOrder("a", await host.install("a", await release(host, "2")));
    assert.deepEqual(
      [order?.outcome, order?.error?.code, state, version],
      ["failed", "ACCOUNT_UNKNOWN", "serving", "1"],
    );
    assert.deepEqual(await host.pids("a"), pids);
  });

  it("get their command from the app's PATH, which does not have to lead to the agent's own tools", async () => {
    const limits = { nofile: 512 };
    const host = await hosts.start({ ...app({ user: "nobody", environment: { PATH: "/nonexistent" } }), limits });
    open(host);
    await host.installed("a", await release(host));
    await reconfigured(host, { ...app({ user: "nobody" }, ["no-such-command"]), limits });
    const { lastError } = await host.untilOrder("b", await host.install("b", await release(host, "2")));
    assert.equal(lastError?.code, "COMMAND_NOT_FOUND");
    assert.match(lastError.message, /"no-such-command" can't be run/);
    await reconfigured(host, app({ user: "nobody" }, ["./version.txt"]));
    const refused = await host.untilOrder("b", await host.install("b", await release(host, "3")));
    assert.equal(refused.lastError?.code, "COMMAND_NOT_FOUND");
    assert.match(refused.lastError.message, /Permission denied/i);
  });

  it("need an agent that is root, and it is said so where that is not", async () => {
    const directory = mkdtempSync(join(tmpdir(), "slotd-node-"));
    hosts.onEnd(() => rmSync(directory, { recursive: true }));
    chmodSync(directory, 0o755);
    const node = join(directory, "node");
    const nobody = await findAccount({ user: "nobody", supplementary: [] });
    const become = `setpriv --reuid=${nobody.uid} --regid=${nobody.gid} --clear-groups`;
    writeFileSync(node, `#!/bin/sh\nexec ${become} ${process.execPath} "$@"\n`, { mode: 0o755 });
    const host = await hosts.create(app({ user: "daemon" }), { node });
    execFileSync("chown", ["-R", `${nobody.uid}:${nobody.gid}`, host.directory]);
    await host.startAgent();
    const { lastError } = await host.untilOrder("a", await host.install("a", await release(host)));
    assert.equal(lastError?.code, "CONFIG_INVALID");
    assert.match(lastError.message, /app\.user needs an agent that runs as root/);
  });
});
