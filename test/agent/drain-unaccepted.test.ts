import assert from "node:assert/strict";
import { request } from "node:http";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { tcpConnections } from "../support/tcp-connections.ts";
import { until } from "../support/until.ts";

/** Far more probes than an agent makes before a drain. */
const PROBES = 20;
const TIMEOUT_MS = 3_600_000;

describe("draining a slot whose workers do not accept any more", () => {
  const hosts = useHosts();

  const serving = async (mode = "none") => {
    const host = await hosts.start({
      app: { command: [process.execPath, "awkward.mjs", mode], workers: 2, stop_grace_ms: 300 },
      health: { timeout_ms: 100, interval_ms: 50 },
      drain: { timeout_ms: TIMEOUT_MS },
    });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "awkward.mjs" }));
    return host;
  };
  const port = (host: Host) => host.ports.a as number;
  const queued = (host: Host) => tcpConnections(host.bind, port(host)).filter((one) => one.queued);
  const signalWorkers = async (host: Host, signal: NodeJS.Signals) => {
    for (const pid of await host.pids("a")) process.kill(pid, signal);
  };
  /** A request that nobody accepts; resolves when it was cut. */
  const ask = (host: Host) => {
    const call = request({ host: host.address, port: port(host), path: "/", agent: false });
    hosts.onEnd(() => call.destroy());
    call.end();
    return new Promise<string>((resolve) => {
      call.once("response", () => resolve("answered"));
      call.once("error", () => resolve("cut"));
    });
  };

  for (const [what, mode, signal] of [
    ["stopped by SIGSTOP", "none", "SIGSTOP"],
    ["deaf: they have closed the socket", "turns-deaf", "SIGUSR1"],
  ] as const) {
    it(`waits for nothing and counts no probe of the agent's own where they are ${what}`, async () => {
      const host = await serving(mode);
      await signalWorkers(host, signal);
      await until("the queue is full of abandoned probes", () => queued(host).length > PROBES);
      const seen = await host.slot("a");
      assert.deepEqual(seen.connections, { open: 0, inFlight: 0 });
      const { lastDrain, order } = await host.untilOrder("a", await host.uninstall("a", "1"));
      assert.equal(order?.outcome, "done");
      assert.deepEqual([lastDrain?.idle, lastDrain?.cutRequests, lastDrain?.idleConnections], ["idle", 0, 0]);
    });
  }

  it("counts the requests that nobody accepts as cut, and says so", async () => {
    const host = await serving();
    await signalWorkers(host, "SIGSTOP");
    const requests = [ask(host), ask(host)];
    await until("the queue is full", () => queued(host).length > PROBES);
    const { lastDrain } = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual([lastDrain?.idle, lastDrain?.cutRequests], ["unaccepted", 2]);
    assert.deepEqual(await Promise.all(requests), ["cut", "cut"]);
  });

  it("waits for them where the workers accept again", async () => {
    const host = await serving();
    await signalWorkers(host, "SIGSTOP");
    const answered = ask(host);
    await until("it is in the queue", () => queued(host).length > 0);
    await signalWorkers(host, "SIGCONT");
    const { lastDrain } = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(await answered, "answered");
    assert.deepEqual([lastDrain?.idle, lastDrain?.cutRequests], ["idle", 0]);
  });
});
