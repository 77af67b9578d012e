import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Kvm } from "@nats-io/kv";
import type { TcpConnection } from "../../agent/os/tcp-connections.ts";
import type { HostStatus } from "../../protocol/host-status.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { makeRelease } from "../support/release.ts";
import { tcpConnections } from "../support/tcp-connections.ts";
import { until } from "../support/until.ts";

describe("health while serving", () => {
  const hosts = useHosts();

  /** A slot that serves, and a word with which its app's health can be changed. */
  const serving = async (health: Record<string, unknown>) => {
    const host = await hosts.create();
    const control = join(host.directory, "control");
    host.configure({
      app: { command: [process.execPath, "awkward.mjs", "none"], environment: { CONTROL_FILE: control } },
      health,
    });
    await host.startAgent();
    await host.installed("a", await makeRelease(host.archives, "1", { app: "awkward.mjs" }));
    return { host, say: (word: string) => writeFileSync(control, word) };
  };
  const untilMember = (host: Host, there: boolean) =>
    until(`the member is ${there ? "there" : "gone"}`, async () => ((await host.member("a")) !== null) === there);

  for (const word of ["500", "hang"]) {
    it(`withdraws the member when it falls (${word}), leaves the workers alone, and registers when it rises`, async () => {
      const { host, say } = await serving({ interval_ms: 50, timeout_ms: 200, fall: 3, rise: 2 });
      const pids = await host.pids("a");
      say(word);
      await untilMember(host, false);
      const status = await host.slot("a");
      assert.deepEqual([status.state, status.workers.alive, status.workers.ready], ["serving", 2, 0]);
      assert.deepEqual(await host.pids("a"), pids);
      assert((await host.workers("a")).every(({ state }) => state === "unready"));
      say("good");
      await untilMember(host, true);
      assert.equal((await host.member("a"))?.metadata.capacity, "2");
      assert.deepEqual(await host.pids("a"), pids);
    });
  }

  it("that is bad is told: by a warning for status, doctor and controller, and by an event; and it ends", async () => {
    const { host, say } = await serving({ interval_ms: 50, timeout_ms: 200, fall: 3, rise: 2 });
    assert.deepEqual((await host.status()).warnings, []);
    say("500");
    const warning = await until("it is told", async () => (await host.status()).warnings[0]);
    assert.match(
      warning,
      /^slot a is withdrawn: 0 of 2 workers are ready, last probe: GET \/healthz answered 500; fix/,
    );
    await until("the controller can read it", async () => (await published(host)).warnings.length > 0);
    const coded = (await host.events()).find(({ code }) => code === "NOT_READY");
    assert.deepEqual([coded?.slot, coded?.kind, coded?.version], ["a", "worker", "1"]);
    const shown = await slotctl("status", "--socket", host.socket);
    assert.match(shown.stdout, /^! slot a is withdrawn: 0 of 2 workers are ready/m);
    say("good");
    await until("nothing is told any more", async () => (await host.status()).warnings.length === 0);
    await until("the controller reads that", async () => (await published(host)).warnings.length === 0);
    const messages = (await host.events()).filter(({ kind }) => kind === "worker").map(({ message }) => message);
    assert.equal(messages.at(-1), "workers are ready again");
  });

  it("does not fall by fewer bad probes in a row than fall says", async () => {
    const { host, say } = await serving({ interval_ms: 50, fall: 100 });
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    say("500");
    const probes = async () => (await host.get<{ probes: number }>("a")).probes;
    await until("many probes were bad", async () => (await probes()) > 20);
    assert.equal((await host.slot("a")).workers.ready, 2);
    assert(!watch.of("a").includes(null));
  });

  it("is never held up by a probe that hangs: the other slot and the status go on", async () => {
    const { host, say } = await serving({ interval_ms: 50, timeout_ms: 60_000, fall: 1 });
    say("hang");
    const old = ({ lastReceivedMs }: TcpConnection) => lastReceivedMs > 300;
    await until("the probe hangs", () => tcpConnections(host.bind, host.ports.a as number).some(old));
    const release = await makeRelease(host.archives, "2", { files: { "awkward.mjs": PLAIN } });
    const status = await host.installed("b", release);
    assert.equal(status.state, "serving");
    const { order, lastDrain } = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual([order?.outcome, lastDrain?.idle], ["done", "idle"]);
  });
});

/** The host's status as it is on the bus. */
async function published(host: Host): Promise<HostStatus> {
  const kv = await new Kvm(await host.bus()).open(buckets.hosts);
  const entry = await kv.get(keys.host("web", host.name));
  return entry?.json<HostStatus>() as HostStatus;
}

function slotctl(...args: string[]): Promise<{ stdout: string }> {
  const command = fileURLToPath(new URL("../../agent/cli/main.js", import.meta.url));
  return promisify(execFile)(process.execPath, [command, ...args]);
}

const PLAIN = `import { createServer } from "node:http";
createServer((_, response) => response.end("{}")).listen({ fd: 3 });`;
