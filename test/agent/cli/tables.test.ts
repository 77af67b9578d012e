import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { slotStatusSchema, workerStatusSchema } from "../../../protocol/host-status.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { startFakeAgent } from "./support/fake-agent.ts";
import { slotctl } from "./support/slotctl.ts";
import { host, slot, worker } from "./support/values.ts";

const timeout = 3 * PATIENCE_MS;

describe("the tables of slotctl", () => {
  it("slots has one line per slot, in columns that are never empty", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.status = host([
      slot(),
      slot({ slot: "b", state: "empty", port: 8001, version: null, connections: null, order: null }),
    ]);
    const { exitCode, stdout } = await slotctl(t, ["slots", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    const [head, a, b, ...rest] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s+/));
    assert.deepEqual(rest, []);
    assert.deepEqual(head?.slice(0, 4), ["SLOT", "STATE", "VERSION", "PORT"]);
    assert.deepEqual(a?.with(8, "…"), [
      "a",
      "serving",
      "1.4.2",
      "8000",
      "2",
      "2",
      "41",
      "3",
      "…",
      "no",
      "order-1",
      "done",
    ]);
    assert.match(a?.[8] ?? "", /^1152\d$/);
    assert.deepEqual(b?.with(8, "…"), ["b", "empty", "-", "8001", "2", "2", "-", "-", "…", "no", "-", "-"]);
    assert.equal(b?.length, head?.length);
  });

  it("slots --no-header leaves out the heading", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const { stdout } = await slotctl(t, ["slots", "--no-header", "--socket", agent.socketPath]);
    assert.match(stdout, /^a +serving .*\n$/);
  });

  it("slots --json is an array of slots", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const { stdout } = await slotctl(t, ["slots", "--json", "--socket", agent.socketPath]);
    assert.deepEqual(z.array(slotStatusSchema).parse(JSON.parse(stdout)), Object.values(agent.status.slots));
  });

  it("workers shows each worker's resource use", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.workers = [
      worker(),
      worker({ worker: 1, pid: 0, state: "waiting", cpuPercent: null, memoryBytes: null, restarts: 4 }),
    ];
    const { exitCode, stdout } = await slotctl(t, ["workers", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    const [head = "", first = "", second = ""] = stdout.split("\n");
    assert.match(head, /^SLOT +WORKER +PID +STATE +UPTIME +CPU +MEMORY +RESTARTS +VERSION$/);
    assert.match(first, /^a +0 +4001 +ready +12m05s +12\.3% +64\.0 MiB +0 +1\.4\.2$/);
    assert.match(second, /^a +1 +- +waiting +12m05s +- +- +4 +1\.4\.2$/);
  });

  it("workers of a slot leaves out the others, also with --json", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.status = host([slot(), slot({ slot: "b", port: 8001 })]);
    agent.workers = [worker(), worker({ slot: "b", pid: 5001 })];
    const { stdout } = await slotctl(t, ["workers", "b", "--json", "--socket", agent.socketPath]);
    assert.deepEqual(z.array(workerStatusSchema).parse(JSON.parse(stdout)), [agent.workers[1]]);
  });

  it("an unknown slot is wrong usage, and the message names the host's slots", {
    timeout,
  }, async (t) => {
    const agent = await startFakeAgent(t);
    for (const verb of ["workers", "drain", "restart"]) {
      const { exitCode, stderr } = await slotctl(t, [verb, "zz", "--socket", agent.socketPath]);
      assert.equal(stderr, "error SLOT_UNKNOWN: there is no slot zz here; the slots are a\n");
      assert.equal(exitCode, 2);
    }
  });
});
