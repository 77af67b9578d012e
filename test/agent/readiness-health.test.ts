import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TcpConnection } from "../../agent/os/tcp-connections.ts";
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

const PLAIN = `import { createServer } from "node:http";
createServer((_, response) => response.end("{}")).listen({ fd: 3 });`;
