import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { type Host, leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

describe("a slot whose port is taken", () => {
  const hosts = useHosts();

  /** Another process that listens on slot a's port. */
  const squatter = async (host: Host, address = "127.0.0.1"): Promise<ChildProcess> => {
    const script = `require("net").createServer().listen(${host.ports.a}, "${address}", () => console.log("ready"))`;
    const child = spawn(process.execPath, ["-e", script, "squatter"], { stdio: ["ignore", "pipe", "inherit"] });
    hosts.onEnd(() => child.kill("SIGKILL"));
    await once(child.stdout as NonNullable<ChildProcess["stdout"]>, "data");
    return child;
  };
  const free = async (child: ChildProcess) => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };

  for (const address of ["127.0.0.1", "0.0.0.0", "::"]) {
    it(`fails and says by whom, where the other listens on ${address}`, async () => {
      const host = await hosts.start();
      const other = await squatter(host, address);
      const release = await makeRelease(host.archives, "1", { app: "app.mjs" });
      const { order, state } = await host.untilOrder("a", await host.install("a", release));
      assert.deepEqual([order?.outcome, order?.error?.code, state], ["failed", "PORT_TAKEN", "failed"]);
      assert.match(
        order?.error?.message ?? "",
        new RegExp(`:${host.ports.a} is taken by process ${other.pid} \\(.*squatter`),
      );
      assert.deepEqual(leftProcesses(host.state), []);
      assert.equal(other.exitCode, null, "the other was left alone");
      await free(other);
      const again = await host.installed("a", release);
      assert.equal(again.state, "serving");
    });
  }

  it("comes up after a reboot, once the port is free", async () => {
    const host = await hosts.start();
    await host.installed("a", await makeRelease(host.archives, "1", { app: "app.mjs" }));
    await host.killAgent();
    for (const pid of leftProcesses(host.state)) process.kill(pid, "SIGKILL");
    const other = createServer();
    hosts.onEnd(() => other.listening && other.close());
    await until("the dead workers have let go of the port", async () => {
      await once(other.listen(host.ports.a, "127.0.0.1"), "listening");
      return other.listening;
    });
    await host.startAgent();
    const status = await host.untilState("a", "failed");
    assert.equal(status.lastError?.code, "PORT_TAKEN");
    assert.match(status.lastError?.message ?? "", new RegExp(`process ${process.pid} `));
    other.close();
    await host.untilSlot("a", "is ready", ({ state, workers }) => state === "serving" && workers.ready === 2);
    assert.equal((await host.get("a")).version, "1");
  });
});
