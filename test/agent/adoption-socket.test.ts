import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { descriptors, holds, identify } from "../../agent/os/process.ts";
import { leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

describe("an agent that takes over workers", () => {
  const hosts = useHosts();

  it("ends one that does not have the slot's socket any more, starts another, and leaves the rest alone", async () => {
    const app = { command: [process.execPath, "awkward.mjs", "turns-deaf"], workers: 6, stop_grace_ms: 1_000 };
    const host = await hosts.start({ app });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "awkward.mjs" }));
    const pids = await host.pids("a");
    assert.equal(pids.length, 3);
    const [deaf, ...rest] = pids as [number, ...number[]];
    const socket = descriptors(deaf).get(3) as string;
    await host.killAgent();
    process.kill(deaf, "SIGUSR1");
    await until("it has closed the socket", () => !holds(deaf, socket));
    assert(identify(deaf), "it lives on");
    await host.startAgent();
    await host.untilSlot("a", "is whole", ({ workers }) => workers.ready === 3);
    const now = await host.pids("a");
    assert.equal(identify(deaf), null);
    assert(rest.every((pid) => now.includes(pid)));
    assert.equal(now.length, 3);
    assert.deepEqual(leftProcesses(host.state).length, 3);
  });

  it("knows a prefork worker by the children that have the socket, though it has closed its own", async () => {
    const environment = { CLOSES: "1" };
    const app = { command: ["python3", "prefork.py"], environment, workers: 2, stop_grace_ms: 1_000 };
    const host = await hosts.start({ app });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "prefork.py" }));
    const pids = await host.pids("a");
    assert.equal(descriptors(pids[0] as number).get(3), undefined);
    await host.killAgent();
    await host.startAgent();
    await host.untilSlot("a", "is whole", ({ workers }) => workers.ready === 1);
    assert.deepEqual(await host.pids("a"), pids);
    assert.equal(typeof (await host.get("a")).pid, "number");
  });
});
