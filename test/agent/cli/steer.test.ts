import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type DrainRecord, type SlotStatus, slotStatusSchema } from "../../../protocol/host-status.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { type FakeAgent, startFakeAgent } from "./support/fake-agent.ts";
import { slotctl, startSlotctl } from "./support/slotctl.ts";
import { ago, host, slot, worker } from "./support/values.ts";

const timeout = 3 * PATIENCE_MS;

function record(over: Partial<DrainRecord> = {}): DrainRecord {
  return {
    version: "1.4.2",
    startedAt: ago(4_000),
    durationMs: 4_200,
    edges: "acked",
    idle: "idle",
    idleConnections: 2,
    cutUpgraded: 1,
    cutRequests: 0,
    ...over,
  };
}

/** An agent whose slot has these statuses in turn, one per poll after the verb was sent. The last one stays. */
function script(agent: FakeAgent, before: SlotStatus, ...after: SlotStatus[]): void {
  const left = [...after];
  let asked = false;
  agent.status = host([before]);
  const next = () => {
    agent.status = host([(left.length > 1 ? left.shift() : left[0]) as SlotStatus]);
  };
  agent.beforeStatus = () => {
    if (asked) next();
  };
  agent.steer = () => {
    asked = true;
    next();
    return agent.status.slots.a as SlotStatus;
  };
}

const waiting = (open: number, inFlight: number) =>
  slot({
    state: "draining",
    held: true,
    connections: { open, inFlight },
    progress: {
      step: "waiting for requests",
      version: "1.4.2",
      done: open - inFlight,
      total: open,
      unit: "connections",
    },
  });

describe("slotctl drain, undrain and restart", () => {
  it("drain follows to the end, and shows the result", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    script(
      agent,
      slot(),
      slot({ held: true }), // taken down, not begun: `held` and no progress are not yet the end
      waiting(8, 3),
      slot({ state: "draining", held: true, lastDrain: record() }),
    );
    const args = ["drain", "a", "--reason", "kernel upgrade", "--socket", agent.socketPath];
    const { exitCode, stdout, stderr } = await slotctl(t, args, { env: { SUDO_USER: "alice" } });
    assert.equal(stderr, "");
    assert.equal(exitCode, 0);
    assert.match(
      stdout,
      /^a {2}draining 1\.4\.2, held · waiting for requests: 5 of 8 connections \(62%\) · .* 3 in flight$/m,
    );
    assert.match(
      stdout,
      /a {2}drained 1\.4\.2 in 4s: edges acked, requests idle; 2 idle connections left, 1 upgraded connection cut, 0 requests cut; held until slotctl undrain a\n$/,
    );
    const { method, body } = await agent.untilAsked("/drain");
    assert.equal(method, "POST");
    assert.match((body as { by: string }).by, /^alice@/);
    assert.equal((body as { reason: string }).reason, "kernel upgrade");
  });

  it("drain --json keeps progress off stdout, and prints the slot", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    script(agent, slot(), waiting(8, 3), slot({ state: "draining", held: true, lastDrain: record() }));
    const { exitCode, stdout, stderr } = await slotctl(t, ["drain", "a", "--json", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.match(stderr, /waiting for requests/);
    assert.equal(slotStatusSchema.parse(JSON.parse(stdout)).lastDrain?.idle, "idle");
  });

  it("drain --no-wait returns at once", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    script(agent, slot(), waiting(8, 3));
    const { exitCode, stdout } = await slotctl(t, ["drain", "a", "--no-wait", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^a {2}draining 1\.4\.2, held .*\n$/);
    assert.equal(agent.asked.at(-1)?.path, "/v1/slots/a/drain");
  });

  it("drain notes who still routes to the version, and continues; the result names the missing edges", {
    timeout,
  }, async (t) => {
    const agent = await startFakeAgent(t);
    const waitingForEdges = slot({
      state: "draining",
      held: true,
      progress: { step: "waiting for edges", done: 1, total: 2, unit: "edges" },
    });
    const lastDrain = record({ edges: "timeout", missingEdges: ["fra1"] });
    script(
      agent,
      slot({ routedBy: "the routes, as the default" }),
      waitingForEdges,
      slot({ state: "draining", held: true, lastDrain }),
    );
    const { exitCode, stdout } = await slotctl(t, ["drain", "a", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^a {2}1\.4\.2 is routed to by the routes, as the default: if no other host serves it, /);
    assert.match(stdout, /waiting for edges: 1 of 2 edges \(50%\)/);
    assert.match(stdout, /drained 1\.4\.2 in 4s: edges timeout \(without fra1\), requests idle;/);
  });

  it("drain of a drained slot is done at once", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const drained = slot({ state: "draining", held: true, lastDrain: record() });
    script(agent, drained, drained);
    const { exitCode, stdout } = await slotctl(t, ["drain", "a", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.match(stdout, /a {2}drained/);
  });

  it("drain reversed by an undrain exits with 1", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    script(agent, slot(), waiting(8, 3), slot());
    const { exitCode, stderr } = await slotctl(t, ["drain", "a", "--socket", agent.socketPath]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^error DRAIN_CANCELLED: the drain of 1\.4\.2 was cancelled by an operator/);
  });

  it("drain interrupted by an order exits with 1", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    script(agent, slot(), waiting(8, 3), slot({ state: "stopping" }));
    const { exitCode, stderr } = await slotctl(t, ["drain", "a", "--socket", agent.socketPath]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^error SLOT_STATE: .*while it is stopping/);
  });

  it("drain left with SIGINT exits with 1, and says that the drain continues", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    script(agent, slot(), waiting(8, 3));
    const draining = startSlotctl(t, ["drain", "a", "--socket", agent.socketPath]);
    await draining.until(/waiting for requests/);
    draining.child.kill("SIGINT");
    const { exitCode, stderr } = await draining.ended;
    assert.equal(exitCode, 1);
    assert.match(stderr, /^error INTERRUPTED: stopped waiting; the drain of slot a continues, and slotctl undrain a/);
  });

  it("undrain follows until the slot serves again", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const held = slot({ state: "draining", held: true });
    script(agent, held, slot({ state: "draining" }), slot({ state: "draining" }), slot());
    const { exitCode, stdout } = await slotctl(t, ["undrain", "a", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.equal(stdout, "a  serving 1.4.2 · 2/2 workers ready · 41 connections open, 3 in flight\n");
    await agent.untilAsked("/undrain");
  });

  it("undrain interrupted by an order exits with 1", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    script(agent, slot({ state: "draining", held: true }), slot({ state: "draining" }), slot({ state: "stopping" }));
    const { exitCode, stderr } = await slotctl(t, ["undrain", "a", "--socket", agent.socketPath]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^error SLOT_STATE: can't undrain slot a while it is stopping/);
  });

  it("restart follows until other processes serve", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const at = (done: number) => slot({ progress: { step: "restarting", done, total: 2, unit: "workers" } });
    // The first two polls do not show yet that the restart has begun.
    script(agent, slot(), slot(), slot(), at(0), at(1), slot());
    agent.workers = [worker({ pid: 1 }), worker({ worker: 1, pid: 2 })];
    const { exitCode, stdout } = await slotctl(t, ["restart", "a", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.match(stdout, /restarting: 0 of 2 workers \(0%\)/);
    assert.match(stdout, /a {2}restarted 1\.4\.2: 2 of 2 workers ready\n$/);
  });

  it("restart that was done before the first poll is recognized by the new processes", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.workers = [worker({ pid: 1 })];
    agent.steer = () => {
      agent.workers = [worker({ pid: 3 })];
      return slot();
    };
    const { exitCode, stdout } = await slotctl(t, ["restart", "a", "--json", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.equal(slotStatusSchema.parse(JSON.parse(stdout)).state, "serving");
  });

  it("restart that fails prints the agent's error", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.workers = [worker({ pid: 1 })];
    const starting = { step: "starting", done: 0, total: 2, unit: "workers" } as const;
    script(
      agent,
      slot({ state: "failed", lastError: { code: "NOT_READY", message: "not ready", at: ago(60_000) } }),
      slot({ state: "failed", lastError: { code: "NOT_READY", message: "not ready", at: ago(60_000) } }),
      slot({ state: "starting", progress: starting }),
      slot({ state: "failed", lastError: { code: "NOT_READY", message: "not ready", at: ago(0) } }),
    );
    const { exitCode, stderr } = await slotctl(t, ["restart", "a", "--socket", agent.socketPath]);
    assert.equal(exitCode, 1);
    assert.equal(stderr, "error NOT_READY: not ready\n");
  });
});
