import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Host, leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { Load } from "../support/load/load.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

describe("restarting workers, and changing their number", () => {
  const hosts = useHosts();

  const serving = async (settings: Record<string, unknown>, content: Parameters<typeof makeRelease>[2]) => {
    const host = await hosts.start(settings);
    const release = await makeRelease(host.archives, "1", content);
    await host.installed("a", release);
    return { host, release };
  };
  const loaded = (host: Host) => {
    const target = () => ({ host: host.address, port: host.ports.a as number });
    const load = new Load({ target, clients: 2, method: "POST" });
    hosts.onEnd(() => load.stop());
    return load;
  };
  /** Looks at the status again and again until told to stop; returns the fewest workers that were seen ready. */
  const fewestReady = (host: Host) => {
    let fewest = Number.POSITIVE_INFINITY;
    let looks = 0;
    let over = false;
    const looking = (async () => {
      while (!over) {
        fewest = Math.min(fewest, (await host.slot("a")).workers.ready);
        looks++;
      }
    })();
    return async () => {
      over = true;
      await looking;
      assert(looks > 3, "it was looked at now and then");
      return fewest;
    };
  };

  it("replaces all workers one by one, with never fewer ready than before, and no request fails", async () => {
    const { host } = await serving({ app: { workers: 6 } }, { app: "app.mjs" });
    const before = await host.pids("a");
    const load = loaded(host);
    await until("the load is on", () => load.requests > 50);
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await until("the member was read", () => watch.alive().has("a"));
    const fewest = fewestReady(host);
    await host.do("restart", "a");
    await until("all were restarted", async () =>
      (await host.events()).some(({ message }) => message === "all workers were restarted"),
    );
    assert.equal(await fewest(), 3);
    const said = watch.of("a").map((member) => `${member?.status} ${member?.metadata.capacity}`);
    assert.deepEqual([...new Set(said)], ["ALIVE 3"], "nothing else was ever said of it");
    await load.stop();
    assert.deepEqual(load.failures, []);
    const after = await host.pids("a");
    assert.equal(after.length, 3);
    assert.deepEqual(
      after.filter((pid) => before.includes(pid)),
      [],
    );
    assert.deepEqual(leftProcesses(host.state).sort(), [...after].sort());
    const { workers, state } = await host.slot("a");
    assert.deepEqual([state, workers.restarts, workers.ready], ["serving", 3, 3]);
  });

  it("leaves the old workers in place where the next one does not come up, and says why", async () => {
    const flag = "broken.txt";
    const files = {
      "app.mjs": `import { existsSync } from "node:fs"; import { createServer } from "node:http";
        if (existsSync(process.env.FLAG)) { console.error("the licence has run out"); process.exit(9); }
        createServer((_, response) => response.end("{}")).listen({ fd: 3 });`,
    };
    const host = await hosts.create();
    const path = join(host.directory, flag);
    host.configure({ app: { environment: { FLAG: path } } });
    await host.startAgent();
    await host.installed("a", await makeRelease(host.archives, "1", { files }));
    const pids = await host.pids("a");
    writeFileSync(path, "");
    await host.do("restart", "a");
    const status = await host.untilSlot("a", "has failed to restart", ({ lastError }) => lastError !== null);
    assert.equal(status.lastError?.code, "WORKERS_EXITED");
    assert.match(status.lastError?.message ?? "", /exit code 9.*the licence has run out/);
    assert.deepEqual([status.state, status.workers.ready], ["serving", 2]);
    assert.deepEqual(await host.pids("a"), pids);
    assert.equal((await host.member("a"))?.metadata.capacity, "2");
  });

  it("leaves nobody over where a new order breaks off a restart", async () => {
    const { host, release } = await serving(
      { app: { command: [process.execPath, "awkward.mjs", "starts-slowly"], workers: 6 } },
      { app: "awkward.mjs" },
    );
    await host.do("restart", "a");
    await host.untilSlot("a", "is in the middle of it", ({ workers }) => workers.restarts === 1);
    const status = await host.installed("a", release, { workers: 3 });
    assert.equal(status.state, "serving");
    await until("three processes are left", () => leftProcesses(host.state).length === 3);
    await host.untilSlot("a", "all are ready", ({ workers }) => workers.ready === 3);
    assert.deepEqual(leftProcesses(host.state).sort(), (await host.pids("a")).sort());
  });

  it("gets as many workers as a new order for the same release says, more or fewer, and no request fails", async () => {
    const { host, release } = await serving({ app: { workers: 4 } }, { app: "app.mjs" });
    const before = await host.pids("a");
    const load = loaded(host);
    for (const workers of [4, 1, 2]) {
      await host.installed("a", release, { workers });
      await host.untilSlot(
        "a",
        `has ${workers}`,
        (slot) => slot.workers.ready === workers && slot.workers.alive === workers,
      );
      await until("the member says so", async () => (await host.member("a"))?.metadata.capacity === String(workers));
      assert.equal((await host.member("a"))?.metadata.workers, String(workers));
    }
    await load.stop();
    assert.deepEqual(load.failures, []);
    const after = await host.pids("a");
    assert.equal(after[0], before[0], "the one with the lowest number was left alone");
    await until("nobody is left over", () => leftProcesses(host.state).length === 2);

    await host.killAgent();
    await host.startAgent();
    await host.untilSlot("a", "still has two", ({ workers }) => workers.ready === 2 && workers.wanted === 2);
    assert.deepEqual(await host.pids("a"), after);
  });
});
