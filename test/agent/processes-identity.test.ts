import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bootId, identify, type ProcessIdentity } from "../../agent/os/process.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease, repository } from "../support/release.ts";

describe("who a worker is", () => {
  const hosts = useHosts();

  const serving = async (): Promise<Host> => {
    const command = [process.execPath, "awkward.mjs", "none"];
    const host = await hosts.start({ app: { command, workers: 2, stop_grace_ms: 300 } });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "awkward.mjs" }));
    return host;
  };

  /** A process that has nothing to do with the host, with a worker's very command line. */
  const stranger = async (env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ["awkward.mjs", "lingers"], {
      cwd: join(repository, "test/fixtures/apps"),
      argv0: process.execPath,
      stdio: "ignore",
      env: { ...process.env, ...env },
    });
    await once(child, "spawn");
    hosts.onEnd(() => child.kill("SIGKILL"));
    return child;
  };
  const lives = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

  /** Makes the dead agent's journal say that other processes are the workers of slot a. */
  const journalSays = (host: Host, identities: ProcessIdentity[], more: Record<string, unknown> = {}) => {
    const file = join(host.state, "journal.json");
    const journal = JSON.parse(readFileSync(file, "utf8"));
    const workers = identities.map((identity, number) => ({ number, startedAt: Date.now(), identity }));
    Object.assign(journal.slots.a, { workers, ...more });
    writeFileSync(file, JSON.stringify(journal));
  };

  it("is never a process that a journalled pid belongs to by now", async () => {
    const host = await serving();
    const old = await host.pids("a");
    const [exact, otherTime, otherBoot] = await Promise.all([stranger(), stranger(), stranger()]);
    const identityOf = (child: ChildProcess) => identify(child.pid as number) as ProcessIdentity;
    await host.killAgent();
    for (const pid of old) process.kill(pid, "SIGKILL");
    journalSays(
      host,
      [
        identityOf(exact),
        { ...identityOf(otherTime), startTime: identityOf(otherTime).startTime - 100 },
        { ...identityOf(otherBoot), bootId: "11111111-2222-3333-4444-555555555555" },
      ],
      { stopping: true },
    );
    await host.startAgent();
    await host.untilSlot("a", "is ready with new workers", ({ workers }) => workers.ready === 1);
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(status.order?.outcome, "done");
    for (const child of [exact, otherTime, otherBoot]) assert(lives(child), "it was not signalled");
  });

  it("is not a stranger with the same command line, nor one that carries the token of another", async () => {
    const host = await serving();
    const token = readFileSync(join(host.state, "token"), "utf8").trim();
    const strangers = await Promise.all([
      stranger(),
      // Another slot's, whose name begins with this one's; another agent's; and a token within another variable.
      stranger({ SLOTD_TOKEN: `${token}.aa` }),
      stranger({ SLOTD_TOKEN: `${"0".repeat(32)}.a` }),
      stranger({ NOTE: `SLOTD_TOKEN=${token}.a` }),
    ]);
    await host.killAgent();
    await host.startAgent();
    await host.untilState("a", "serving");
    assert.equal((await host.pids("a")).length, 1);
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(status.order?.outcome, "done");
    for (const child of strangers) assert(lives(child), "it was not signalled");
  });

  it("holds over the agent's restart where the journal knows nobody", async () => {
    const host = await serving();
    const pids = await host.pids("a");
    await host.killAgent();
    journalSays(host, [{ pid: process.pid, startTime: 1, bootId: bootId() }]);
    await host.startAgent();
    await host.untilState("a", "serving");
    assert.deepEqual(await host.pids("a"), pids);
  });

  it("is enough to end what a dead agent was ending, though it is not taken over", async () => {
    const host = await serving();
    const pids = await host.pids("a");
    await host.killAgent();
    journalSays(host, [], { stopping: true });
    await host.startAgent();
    await host.untilSlot("a", "is ready", ({ workers }) => workers.ready === 1);
    const now = await host.pids("a");
    assert.notDeepEqual(now, pids);
    for (const pid of pids) assert.equal(identify(pid), null);
  });
});
