import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { identify } from "../../agent/os/process.ts";
import { type Host, leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { getOver } from "../support/load/kept-connection.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

describe("an agent that takes over what another left", () => {
  const hosts = useHosts();

  const twoVersions = async (settings: Record<string, unknown> = {}): Promise<Host> => {
    const host = await hosts.start(settings);
    await host.installed("a", await makeRelease(host.archives, "1", { app: "app.mjs" }));
    await host.installed("b", await makeRelease(host.archives, "2", { app: "app.mjs" }));
    return host;
  };
  const pidsOf = async (host: Host) => ({ a: await host.pids("a"), b: await host.pids("b") });
  const untilBothReady = (host: Host, timeoutMs?: number) =>
    Promise.all(
      ["a", "b"].map((name) =>
        host.untilSlot(
          name,
          "is ready",
          ({ state, workers }) => state === "serving" && workers.ready === workers.wanted,
          timeoutMs,
        ),
      ),
    );
  const watching = async (host: Host) => {
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await until("both members were read", () => watch.alive().size === 2);
    return watch;
  };

  const faults: Record<string, (text: string) => string> = {
    "was cut off": (text) => text.slice(0, text.length / 2),
    "is empty": () => "",
    "is full of zeros": (text) => "\0".repeat(text.length),
    "means something else": () => '{"format":1,"slots":[]}',
  };
  for (const [fault, spoil] of Object.entries(faults)) {
    it(`keeps the same processes registered where the journal ${fault}, sets it aside, and says so`, async () => {
      const host = await twoVersions();
      const before = await pidsOf(host);
      const watch = await watching(host);
      await host.killAgent();
      const file = join(host.state, "journal.json");
      const spoiled = spoil(readFileSync(file, "utf8"));
      writeFileSync(file, spoiled);
      await host.startAgent();
      await untilBothReady(host);
      assert.deepEqual(await pidsOf(host), before);
      const { lastError } = await host.status();
      assert.equal(lastError?.code, "JOURNAL_CORRUPT");
      const aside = readdirSync(host.state).filter((name) => name.startsWith("journal.json.corrupt-"));
      assert.equal(aside.length, 1);
      assert(lastError.message.includes(aside[0] as string));
      assert.equal(readFileSync(join(host.state, aside[0] as string), "utf8"), spoiled);
      // The orders come from the bus again, and change nothing.
      for (const slot of ["a", "b"])
        await host.untilSlot(slot, "knows its order again", ({ order }) => order?.outcome === "done");
      assert.deepEqual(await pidsOf(host), before);
      assert(
        watch.history.every(({ member }) => member?.status === "ALIVE"),
        JSON.stringify(watch.history),
      );
    });
  }

  it("finds workers, connections and requests as they were after SIGUSR2 to the one before", async () => {
    const host = await twoVersions();
    const before = await pidsOf(host);
    const watch = await watching(host);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    hosts.onEnd(() => agent.destroy());
    const at = { host: host.address, port: host.ports.a as number };
    const socket = await getOver(agent, at);
    const slow = host.get("b", "/slow?ms=2500");
    assert.equal(await host.endAgent("SIGUSR2"), 0);
    assert.equal(await getOver(agent, at), socket, "the connection is still good");
    await host.startAgent();
    await untilBothReady(host);
    assert.equal(await getOver(agent, at), socket, "and still");
    assert.deepEqual(await pidsOf(host), before);
    assert.equal((await host.slot("a")).socket, "adopted");
    assert.equal((await slow).version, "2");
    assert(
      watch.history.every(({ member }) => member?.status === "ALIVE"),
      JSON.stringify(watch.history),
    );
  });

  it("knows workers without their environment by the journal and the socket that they hold", async () => {
    const bare = `exec env -i LISTEN_FDS=1 LISTEN_PID=$$ ${process.execPath} app.mjs`;
    const host = await twoVersions({ app: { command: ["/bin/sh", "-c", bare] } });
    const before = await pidsOf(host);
    assert.equal(leftProcesses(host.state).length, 0, "the token is in none of them");
    hosts.onEnd(() => {
      for (const pid of [...before.a, ...before.b]) if (identify(pid)) process.kill(pid, "SIGKILL");
    });
    await host.killAgent();
    await host.startAgent();
    await untilBothReady(host);
    assert.deepEqual(await pidsOf(host), before);
    await host.untilOrder("a", await host.uninstall("a", "1"));
    for (const pid of before.a) assert.equal(identify(pid), null);
  });

  it("replaces a worker that died while no agent ran, and leaves the others alone", async () => {
    const host = await twoVersions();
    const before = await pidsOf(host);
    await host.killAgent();
    process.kill(before.a[0] as number, "SIGKILL");
    await host.startAgent();
    await untilBothReady(host);
    const { a, b } = await pidsOf(host);
    assert.deepEqual(b, before.b);
    assert(a.includes(before.a[1] as number) && !a.includes(before.a[0] as number));
    assert.equal(
      (await host.workers("a"))
        .map(({ worker }) => worker)
        .sort()
        .join(),
      "0,1",
    );
  });

  it("notices within a second that a worker which it took over has died", async () => {
    const host = await twoVersions({ app: { restart_backoff_min_ms: 5_000 } });
    const [first] = (await host.pids("a")) as [number];
    await host.killAgent();
    await host.startAgent();
    await untilBothReady(host);
    const died = Date.now();
    process.kill(first, "SIGKILL");
    const { lastEnd } = await host.untilSlot("a", "has lost one", ({ workers }) => workers.alive === 1);
    // A second, and what a busy machine adds to it.
    assert(Date.parse(lastEnd?.at as string) - died < 5_000);
    assert.deepEqual([lastEnd?.reason, lastEnd?.pid, lastEnd?.exitCode], ["lost", first, null]);
    assert((lastEnd?.ranMs ?? 0) > 500, "it counts from the worker's start, not the agent's");
  });

  it("has as many workers as its configuration says by now, more or fewer", async () => {
    const host = await twoVersions();
    const before = await pidsOf(host);
    for (const workers of [1, 3]) {
      await host.killAgent();
      host.configure({ slots: { a: { workers } } });
      await host.startAgent();
      await host.untilSlot(
        "a",
        `has ${workers}`,
        (slot) => slot.workers.ready === workers && slot.workers.alive === workers,
      );
      const pids = await host.pids("a");
      assert(pids.includes(before.a[0] as number), "the one with the lowest number stays");
      await until("nobody is left over", () => leftProcesses(host.state).length === workers + 2);
    }
    assert.deepEqual(await host.pids("b"), before.b);
  });

  it("serves on with those that live where the release's files are gone", async () => {
    const host = await twoVersions();
    const [first, second] = (await host.pids("a")) as [number, number];
    await host.killAgent();
    process.kill(first, "SIGKILL");
    rmSync(join(host.state, "releases", "1"), { recursive: true });
    await host.startAgent();
    await host.untilSlot("a", "serves", ({ state, workers }) => state === "serving" && workers.ready === 1);
    await host.untilSlot("b", "serves", ({ state, workers }) => state === "serving" && workers.ready === 2);
    assert.deepEqual(await host.pids("a"), [second]);
    await until("the member says so", async () => (await host.member("a"))?.metadata.capacity === "1");
    const status = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(status.order?.outcome, "done");
  });

  it("brings both versions back from the journal after a reboot, with the bus away", async () => {
    const host = await twoVersions();
    await host.killAgent();
    for (const pid of leftProcesses(host.state)) process.kill(pid, "SIGKILL");
    await hosts.nats.kill();
    try {
      await host.startAgent();
      await untilBothReady(host);
      assert.equal((await host.get("a")).version, "1");
      assert.equal((await host.get("b")).version, "2");
    } finally {
      await hosts.nats.restart();
    }
    await until("both are registered", async () => (await host.member("a")) && (await host.member("b")));
  });

  it("is refused while the other still runs, which is not disturbed", async () => {
    const host = await twoVersions();
    const before = await pidsOf(host);
    const main = fileURLToPath(new URL("../../agent/main.js", import.meta.url));
    const second = spawn(process.execPath, [main, "--config", host.configFile], { stdio: ["ignore", "pipe", "pipe"] });
    hosts.onEnd(() => second.kill("SIGKILL"));
    let said = "";
    second.stderr.on("data", (text) => {
      said += text;
    });
    const [code] = await once(second, "close");
    assert.equal(code, 1);
    assert.match(said, /AGENT_RUNNING/);
    assert.deepEqual(await pidsOf(host), before);
    assert.equal((await host.get("a")).version, "1");
  });
});
