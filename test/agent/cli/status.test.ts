import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostStatusSchema } from "../../../protocol/host-status.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { startFakeAgent } from "./support/fake-agent.ts";
import { onTerminal, slotctl } from "./support/slotctl.ts";
import { ago, host, slot } from "./support/values.ts";

const ESC = "\u001b";
const timeout = 3 * PATIENCE_MS;

describe("slotctl status", () => {
  it("shows the host on one line, and a row per slot", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.status = host([
      slot(),
      slot({ slot: "b", state: "empty", port: 8001, version: null, sha256: null, connections: null, order: null }),
    ]);
    const { exitCode, stdout, stderr } = await slotctl(t, ["status", "--socket", agent.socketPath]);
    assert.equal(stderr, "");
    assert.equal(exitCode, 0);
    const [header = "", , head = "", a = "", b = ""] = stdout.split("\n");
    assert.equal(
      header,
      "web prod · host web1.example · slotd 9.8.7 (pid 812, up 1d2h) · bus connected 127.0.0.1:4222",
    );
    assert.match(head, /^SLOT {2}STATE +VERSION +PORT +WORKERS +CONNECTIONS +FOR +ORDER$/);
    assert.match(a, /^a +serving +1\.4\.2 +8000 +2\/2 +41 \(3 in flight\) +3h12m +order-1 install done$/);
    assert.match(b, /^b +empty +- +8001 +2\/2 +- +3h12m +-$/);
  });

  it("shows anything that needs attention below the table", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.status = host(
      [
        slot({
          lastError: { code: "NOT_READY", message: "0 of 2 workers were ready", at: ago(185_000) },
          refused: { code: "STALE_EPOCH", message: "order old-1 has epoch 3", orderId: "old-1" },
          progress: { step: "fetching", version: "1.5.0", done: 13_107_200, total: 41_943_040, unit: "bytes" },
        }),
        slot({
          slot: "b",
          state: "draining",
          port: 8001,
          version: "1.4.1",
          held: true,
          lastDrain: {
            version: "1.4.1",
            startedAt: ago(65_000),
            durationMs: 12_400,
            edges: "acked",
            idle: "timeout",
            idleConnections: 1,
            cutRequests: 2,
            reason: "kernel upgrade",
          },
          lastEnd: {
            worker: 1,
            pid: 77,
            version: "1.4.1",
            reason: "crashed",
            exitCode: 3,
            signal: null,
            ranMs: 10,
            at: ago(3_000),
          },
        }),
      ],
      { bus: { connected: false, server: null, since: ago(250_000), error: "ECONNREFUSED" } },
    );
    const { stdout } = await slotctl(t, ["status", "--socket", agent.socketPath]);
    assert.match(stdout, /bus down$/m);
    assert.match(stdout, /^✗ bus down for 4m1\ds, since \S+ \(ECONNREFUSED\): .*orders and routes are from that time/m);
    assert.match(stdout, /^! a {2}fetching 1\.5\.0: 12\.5 MiB of 40\.0 MiB \(31%\)$/m);
    assert.match(stdout, /^✗ a {2}last error NOT_READY: 0 of 2 workers were ready \(3m0\ds ago\)$/m);
    assert.match(stdout, /^✗ a {2}refused order old-1: STALE_EPOCH: order old-1 has epoch 3$/m);
    assert.match(stdout, /^b +draining \(held\)/m);
    assert.match(stdout, /^! b {2}held: drained by an operator; slotctl undrain b/m);
    assert.match(stdout, /^! b {2}worker 1 \(pid 77\) crashed with exit code 3, \d+s ago$/m);
    assert.match(
      stdout,
      /^! b {2}last drain: 1\.4\.1 in 12s: edges acked, requests timeout; 1 idle connection left, 2 requests cut \("kernel upgrade"\), 1m\d\ds ago$/m,
    );
  });

  it("prints the agent's answer on the last line with --json", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const { exitCode, stdout } = await slotctl(t, ["--json", "status", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.deepEqual(hostStatusSchema.parse(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")), agent.status);
  });

  it("shows the age of an old answer", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.status = host([slot()], { observedAt: ago(95_000) });
    const { stdout } = await slotctl(t, ["status", "--socket", agent.socketPath]);
    assert.match(stdout, /as of 1m[3-5]\ds ago\n/);
  });

  it("colours states on a terminal", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.status = host([slot(), slot({ slot: "b", state: "failed" }), slot({ slot: "c", state: "draining" })]);
    const { exitCode, stdout } = await onTerminal(t, ["status", "--socket", agent.socketPath]).ended;
    assert.equal(exitCode, 0);
    assert.ok(stdout.includes(`${ESC}[32mserving${ESC}[39m`), stdout);
    assert.ok(stdout.includes(`${ESC}[31mfailed${ESC}[39m`), stdout);
    assert.ok(stdout.includes(`${ESC}[33mdraining${ESC}[39m`), stdout);
  });

  it("leaves out colours with NO_COLOR or in a pipe", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const args = ["status", "--socket", agent.socketPath];
    const terminal = await onTerminal(t, args, { env: { NO_COLOR: "1" } }).ended;
    assert.match(terminal.stdout, /a +serving/);
    assert.ok(!terminal.stdout.includes(ESC), terminal.stdout);
    const pipe = await slotctl(t, args, { env: { FORCE_COLOR: "1", TERM: "xterm" } });
    assert.ok(!pipe.stdout.includes(ESC), pipe.stdout);
  });

  it("removes control sequences from a worker's message", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const message = `last output: ${ESC}[2J${ESC}]0;owned\u0007boom\r\nthere`;
    agent.status = host([slot({ lastError: { code: "WORKERS_EXITED", message } })]);
    const { stdout } = await slotctl(t, ["status", "--socket", agent.socketPath]);
    assert.match(stdout, /^✗ a {2}last error WORKERS_EXITED: last output: boom there$/m);
  });
});
