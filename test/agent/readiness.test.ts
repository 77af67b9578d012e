import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { SlotStatus } from "../../protocol/host-status.ts";
import { type Host, leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { PATIENCE_MS } from "../support/until.ts";

/** Waits for connections in a blocking accept, which the kernel does not show. */
const BLOCKS = `
import socket
server = socket.socket(fileno=3)
while True:
    connection, _ = server.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    connection.close()
`;
const AWKWARD = (mode: string) => [process.execPath, "awkward.mjs", mode];

describe("becoming ready", () => {
  const hosts = useHosts();

  /** Installs an app on a fresh host, and waits for the outcome. */
  const install = async (settings: Record<string, unknown>): Promise<{ host: Host; status: SlotStatus }> => {
    const host = await hosts.start({ readiness: { timeout_ms: 1_500 }, ...settings });
    const release = await makeRelease(host.archives, "1", { app: "awkward.mjs" });
    return { host, status: await host.untilOrder("a", await host.install("a", release)) };
  };
  /** What did not come up leaves no process, no member and an open port behind it. */
  const failsWith = async (code: string, message: RegExp, settings: Record<string, unknown>) => {
    const { host, status } = await install(settings);
    assert.equal(status.order?.outcome, "failed");
    assert.equal(status.order?.error?.code, code);
    assert.match(status.order?.error?.message ?? "", message);
    assert.equal(status.lastError?.code, code);
    assert.equal(status.state, "failed");
    assert.deepEqual(leftProcesses(host.state), []);
    assert.equal(await host.member("a"), null);
    await assert.rejects(fetch(host.url("a")));
    const codes = (await host.events()).filter(({ kind }) => kind === "error").map((event) => event.code);
    assert.deepEqual(codes, [code]);
  };

  it("fails where the command is not there", () =>
    failsWith("COMMAND_NOT_FOUND", /"no-such-command".*No such file/, { app: { command: ["no-such-command"] } }));

  it("fails where the command may not be executed", () =>
    failsWith("COMMAND_NOT_FOUND", /".\/awkward.mjs".*[Pp]ermission denied/, { app: { command: ["./awkward.mjs"] } }));

  it("fails where the working directory is not there", () =>
    failsWith("COMMAND_NOT_FOUND", /working directory/, {
      app: { command: AWKWARD("none"), working_directory: "nowhere" },
    }));

  it("fails and says what to change where the app opens its port itself", () =>
    failsWith("NOT_ACCEPTING", /opened the port itself.*listen = "node".*LISTEN_FDS/s, {
      app: { command: AWKWARD("opens-its-own-port") },
      readiness: { timeout_ms: PATIENCE_MS },
    }));

  it("fails and says where the app listens instead", () =>
    failsWith(
      "NOT_ACCEPTING",
      /they listen on 127\.0\.0\.1:\d+.* instead.*listen = "node".*the last output: it listens elsewhere/,
      {
        app: { command: AWKWARD("opens-another-port") },
      },
    ));

  it("fails where the app never accepts, though it ignores SIGTERM on top", () =>
    failsWith("NOT_ACCEPTING", /none accepted a connection on port \d+/, {
      app: { command: AWKWARD("never-accepts"), stop_grace_ms: 200 },
    }));

  it("fails and names the probe where the app answers 500", () =>
    failsWith("NOT_READY", /0 of 2 workers.*GET \/healthz answered 500/, { app: { command: AWKWARD("answers-500") } }));

  it("fails and names the wrapper that LISTEN_PID is of", () =>
    failsWith("NOT_ACCEPTING", /process \d+ \(sh -c .*\) starts the app.*listen = "node"/, {
      app: { command: ["sh", "-c", `${process.execPath} awkward.mjs never-accepts; true`], stop_grace_ms: 200 },
    }));

  it("fails and names the probe where an app that waits in a blocking accept answers 404", () =>
    failsWith("NOT_READY", /0 of 2 workers.*GET \/healthz answered 404/, {
      app: { command: ["python3", "-c", BLOCKS] },
    }));

  it("fails and names the probe where the app does not answer it", async () => {
    const host = await hosts.create();
    const control = `${host.directory}/control`;
    writeFileSync(control, "hang");
    host.configure({
      app: { command: AWKWARD("none"), environment: { CONTROL_FILE: control } },
      health: { timeout_ms: 300 },
      readiness: { timeout_ms: 1_500 },
    });
    await host.startAgent();
    const release = await makeRelease(host.archives, "1", { app: "awkward.mjs" });
    const { order } = await host.untilOrder("a", await host.install("a", release));
    assert.equal(order?.error?.code, "NOT_READY");
    assert.match(order?.error?.message ?? "", /GET \/healthz was not answered in 300 ms/);
  });

  it("fails with its last output where the app ends, before the time is over", () =>
    failsWith("WORKERS_EXITED", /exit code 7.*its last output: .*the database is not there/s, {
      app: { command: AWKWARD("exits"), restart_backoff_min_ms: 20 },
      readiness: { timeout_ms: 60_000 },
    }));

  it("fails where one of two workers does not accept and all are wanted", () =>
    failsWith("NOT_READY", /1 of 2 workers were ready/, { app: { command: AWKWARD("first-worker-only") } }));

  it("is reached with k of n workers, and only those count as capacity", async () => {
    const { host, status } = await install({
      app: { command: AWKWARD("first-worker-only") },
      readiness: { workers: 1 },
    });
    assert.equal(status.order?.outcome, "done");
    assert.deepEqual([status.workers.wanted, status.workers.alive, status.workers.ready], [2, 2, 1]);
    const { capacity, workers } = (await host.member("a"))?.metadata ?? {};
    assert.deepEqual([capacity, workers], ["1", "2"]);
  });

  it("is reached with k of n workers though the others end again and again", async () => {
    const { status } = await install({
      app: { command: AWKWARD("others-exit"), restart_backoff_min_ms: 20 },
      readiness: { workers: 1, hold_ms: 1_500, timeout_ms: 5_000 },
    });
    assert.equal(status.order?.outcome, "done", JSON.stringify(status.order));
  });

  it("has to last for hold_ms", async () => {
    const host = await hosts.start({ app: { command: AWKWARD("none") }, readiness: { hold_ms: 2_000 } });
    const id = await host.install("a", await makeRelease(host.archives, "1", { app: "awkward.mjs" }));
    await host.untilSlot("a", "has both workers ready", ({ workers }) => workers.ready === 2);
    // One ends in the meantime: the time starts again when it is back.
    process.kill((await host.pids("a"))[0] as number, "SIGKILL");
    const again = ({ workers }: SlotStatus) => workers.restarts === 1 && workers.ready === 2;
    const { state } = await host.untilSlot("a", "has both again", again);
    const ready = performance.now();
    assert.equal(state, "starting");
    assert.equal(await host.member("a"), null, "it is not registered before its time");
    await host.untilOrder("a", id);
    assert(performance.now() - ready >= 1_000);
  });
});
