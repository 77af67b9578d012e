import assert from "node:assert/strict";
import { chmodSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { until } from "../support/until.ts";
import { lasts, OrderedHost } from "./workers/ordered-host.ts";

interface Facts {
  pid: number;
  told: number;
  refused: number;
  env: Record<string, string>;
}

/** What does not say that a worker is ready, though it may look like it. */
const NOISE = [
  "",
  "\n\n\n",
  "READY",
  "READY=0",
  "READY=11",
  "XREADY=1",
  " READY=1",
  "ready=1",
  "STATUS=READY=1",
  "\0READY=1\0",
  `\xff\xfe\x00${"\x80".repeat(500)}`,
  `${"x".repeat(4_096)}\nREADY=1\n`,
  `${"y".repeat(150_000)}\nREADY=1\n`,
];

describe("workers that have to say that they are ready", () => {
  const hosts = useHosts();
  const NOTIFY = { readiness: { by: "notify", timeout_ms: 15_000 } };
  const READY = { TELL: "ready" };

  const workerStates = async (ordered: OrderedHost) =>
    (await ordered.host.workers("a")).map(({ worker, state }) => `${worker} ${state}`).sort();

  it("are ready when each has said READY=1 and not before, whatever else it says; what it says of itself is shown", async () => {
    const ordered = await OrderedHost.start(hosts, "tells.py", NOTIFY);
    const { host } = ordered;
    const id = await host.install("a", await ordered.release("1"));
    await until("both accept", async () => (await workerStates(ordered)).join() === "0 unready,1 unready");
    for (const noise of NOISE) await ordered.say(0, noise);
    await ordered.heard(0, "after all that");
    assert.deepEqual(await workerStates(ordered), ["0 unready", "1 unready"]);
    assert.equal((await host.slot("a")).state, "starting");
    assert.deepEqual(ordered.signs(), ["a-0.notify", "a-0.starting", "a-1.notify", "a-1.starting"]);

    await ordered.say(0, "STATUS=\x1b[31mred\u0007\r\nREADY=1\nSTOPPING=1");
    const one = async () => (await workerStates(ordered)).join() === "0 ready,1 unready";
    await until("the first one is ready", one);
    assert.equal((await host.workers("a")).find(({ worker }) => worker === 0)?.says, "[31mred");
    await lasts(300, "the slot waits for the other one", async () => (await host.slot("a")).state === "starting");
    ordered.order("ready-1");
    assert.equal((await host.untilOrder("a", id)).order?.outcome, "done");
    assert.equal((await host.slot("a")).workers.ready, 2);

    assert.deepEqual(ordered.signs(), ["a-0.notify", "a-1.notify"]);
    assert.equal(statSync(ordered.sockets).mode & 0o777, 0o755);
    for (const name of readdirSync(ordered.sockets)) {
      const { mode, uid } = statSync(join(ordered.sockets, name));
      assert.deepEqual([mode & 0o777, uid], [0o600, process.getuid?.()]);
    }
    const { env } = await host.get<Facts>("a");
    assert(env.NOTIFY_SOCKET?.startsWith(`${ordered.sockets}/a-`));
    assert.deepEqual([env.WATCHDOG_USEC, env.WATCHDOG_PID, env.LISTEN_FDS], [undefined, undefined, "1"]);
    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(ordered.signs(), []);
  });

  it("and never do, fail the install in time, and the other slot serves on", async () => {
    const ordered = await OrderedHost.start(hosts, "tells.py", { readiness: { by: "notify", timeout_ms: 1_500 } });
    const { host } = ordered;
    ordered.order("ready");
    await ordered.installed("b", "1");
    const pids = await ordered.pids("b");
    ordered.takeBack("ready");
    const { state, order, lastError } = await host.untilOrder("a", await host.install("a", await ordered.release("2")));
    assert.deepEqual([state, order?.outcome, lastError?.code], ["failed", "failed", "NOT_READY"]);
    assert.match(lastError?.message ?? "", /0 of 2 workers were ready after 1500 ms/);
    assert.deepEqual(await ordered.pids("b"), pids);
    assert.equal((await host.member("b"))?.metadata.capacity, "2");
    assert.deepEqual(leftProcesses(host.state).sort(), [...pids].sort());
    assert.deepEqual(ordered.signs(), ["b-0.notify", "b-1.notify"]);
  });

  it("are heard by the next agent, whether they had said it or not", async () => {
    const ordered = await OrderedHost.start(hosts, "tells.py", NOTIFY);
    const { host } = ordered;
    const id = await host.install("a", await ordered.release("1"));
    await until("both accept", async () => (await workerStates(ordered)).join() === "0 unready,1 unready");
    const pids = await ordered.pids();
    ordered.order("ready-0");
    await until("one is ready", async () => (await host.slot("a")).workers.ready === 1);
    await ordered.nextAgent();
    await until("the one is ready again", async () => (await workerStates(ordered)).join() === "0 ready,1 unready");
    await ordered.heard(1, "not yet");
    assert.deepEqual(await workerStates(ordered), ["0 ready", "1 unready"]);
    assert.equal((await host.slot("a")).state, "starting");
    ordered.order("ready-1");
    assert.equal((await host.untilOrder("a", id)).order?.outcome, "done");
    assert.deepEqual(await ordered.pids(), pids);

    await ordered.nextAgent();
    await ordered.untilReady();
    for (const worker of [0, 1]) await ordered.heard(worker, `still ${worker}`);
    assert.deepEqual(await ordered.pids(), pids);
    process.kill(pids[0] as number, "SIGKILL");
    await until("another one is in its place", async () => !(await ordered.pids()).includes(pids[0] as number));
    await ordered.untilReady();
    assert.deepEqual(ordered.signs(), ["a-0.notify", "a-1.notify"], "nothing is left of the one that died");
  });

  it("are never held up where the next agent does not listen any more, nor by having no agent", async () => {
    const ordered = await OrderedHost.start(
      hosts,
      "tells.py",
      { ...NOTIFY, slots: { a: { workers: 1 } } },
      { ...READY, PING_MS: "1" },
    );
    const { host } = ordered;
    await ordered.installed("a", "1");
    const pids = await ordered.pids();
    const refused = async () => (await host.get<Facts>("a")).refused;
    await until("it has told much", async () => (await host.get<Facts>("a")).told > 20);
    await host.killAgent();
    await until("it goes on without an agent", async () => (await refused()) > 20);
    ordered.reconfigure({ readiness: { by: "probe" } });
    await host.startAgent();
    await ordered.untilReady("a", 1);
    const before = await refused();
    await until("it goes on beside one that does not listen", async () => (await refused()) > before + 30);
    assert.deepEqual(await ordered.pids(), pids);
    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(ordered.signs(), [], "nothing is left of what it had been given");
  });

  it("can say it as another user, to this agent and the next", { skip: process.getuid?.() !== 0 }, async () => {
    const ordered = await OrderedHost.start(
      hosts,
      "tells.py",
      { ...NOTIFY, app: { user: "nobody" } },
      { PYTHONDONTWRITEBYTECODE: "1" },
    );
    const { host } = ordered;
    chmodSync(host.directory, 0o711);
    chmodSync(ordered.control, 0o777);
    ordered.order("ready");
    await ordered.installed("a", "1");
    const nobody = statSync(`/proc/${(await ordered.pids())[0]}`).uid;
    assert.notEqual(nobody, 0);
    await ordered.nextAgent();
    await ordered.untilReady();
    await ordered.heard(0, "as nobody");
    for (const name of readdirSync(ordered.sockets)) {
      const { mode, uid } = statSync(join(ordered.sockets, name));
      assert.deepEqual([mode & 0o777, uid], [0o600, nobody]);
    }
  });
});
