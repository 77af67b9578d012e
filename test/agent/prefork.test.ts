import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

const MIB = 2 ** 20;

describe("a worker that forks others before it serves", () => {
  const hosts = useHosts();

  const serving = async (sharedMib: number, settings: Record<string, unknown> = {}) => {
    const environment = { SHARED_MIB: String(sharedMib) };
    const app = { command: ["python3", "prefork.py"], environment, workers: 2, stop_grace_ms: 1_000 };
    const host = await hosts.start({ app, ...settings });
    await host.installed("a", await makeRelease(host.archives, "1", { app: "prefork.py" }));
    return host;
  };
  const memory = async (host: Awaited<ReturnType<typeof serving>>) =>
    ((await host.workers("a"))[0]?.memoryBytes ?? 0) / MIB;

  it("is shown with the memory of all of them, and what they share counts once", async () => {
    const host = await serving(100);
    const before = await memory(host);
    assert(before >= 100 && before < 200, `${before} MiB, of four processes with 100 MiB in common`);
    const { pid } = await host.get("a", "/eat?50");
    assert.notEqual(pid, (await host.pids("a"))[0], "a child has eaten it");
    const after = await memory(host);
    assert(after - before > 45 && after - before < 60, `${before} MiB, then ${after} MiB`);
  });

  it("is recycled where its children use too much, and not for what they share", async () => {
    const host = await serving(60, { recycle: { memory_bytes: 150 * MIB } });
    const pids = await host.pids("a");
    const { pid } = await host.get("a", "/eat?40");
    assert(!pids.includes(pid));
    assert((await memory(host)) < 150);
    await host.get("a", "/eat?60");
    const recycled = (message: string) => /^worker 0 was recycled: it uses (\d+) bytes of memory$/.exec(message)?.[1];
    const bytes = await until("it is recycled", async () =>
      (await host.events()).map(({ message }) => recycled(message)).find((found) => found !== undefined),
    );
    assert(Number(bytes) > 150 * MIB, bytes);
    assert.notDeepEqual(await host.pids("a"), pids);
  });
});
