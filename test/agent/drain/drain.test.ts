import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { type DrainOptions, drain } from "../../../agent/drain/drain.ts";
import type { Mark } from "../../../agent/drain/mark.ts";
import type { AcknowledgingEdges } from "../../../agent/drain/until-acked.ts";

const noEdges: AcknowledgingEdges = {
  reachable: true,
  live: () => [],
  refresh: async () => {},
  hasApplied: () => true,
  changed: () => new Promise(() => {}),
};

/** Idle connections that stay open all the time. */
const KEPT = 3;

/** A drain that looks at these numbers of requests in flight, one after another, and stays with the last. */
function start(inFlight: readonly number[], over: Partial<DrainOptions> = {}) {
  const looks: number[] = [];
  const steps: string[] = [];
  const abort = new AbortController();
  const drained = drain({
    version: "1",
    withdraw: async () => 7 as Mark,
    async look() {
      const now = inFlight[Math.min(looks.length, inFlight.length - 1)] as number;
      looks.push(now);
      return { open: now + KEPT, busy: now, unaccepted: 0, restMs: 0 };
    },
    edges: noEdges,
    edgesTimeoutMs: 10_000,
    pauseMs: 0,
    timeoutMs: 10_000,
    untilClosed: false,
    signal: abort.signal,
    onProgress: ({ waitingFor }) => {
      if (steps.at(-1) !== waitingFor) steps.push(waitingFor);
    },
    ...over,
  });
  const done = drained.then(({ record }) => record);
  return { done, drained, looks, steps, abort };
}

/** A withdrawal that the bus never takes. */
const never = (signal: AbortSignal) =>
  new Promise<Mark>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

describe("a drain", () => {
  // A withdrawal that waits holds nothing by itself; in the agent, the bus and the control socket do.
  let running: NodeJS.Timeout;
  before(() => {
    running = setInterval(() => {}, 1_000);
  });
  after(() => clearInterval(running));

  it("ends as idle after two quiet looks in a row, and not before", async () => {
    const sequences = fc.array(fc.nat(2), { minLength: 1, maxLength: 8 }).map((counts) => [...counts, 0, 0, 2]);
    const check = async (counts: number[]) => {
      const { done, looks } = start(counts);
      const record = await done;
      assert.deepEqual([record.idle, record.edges, record.cutRequests], ["idle", "paused", 0]);
      assert.deepEqual(looks.slice(-2), [0, 0]);
      const before = looks.slice(0, -1);
      for (let i = 1; i < before.length; i++) assert(before[i] !== 0 || before[i - 1] !== 0, `ended late: ${looks}`);
    };
    // In parallel: each takes as long as its looks.
    await Promise.all(fc.sample(sequences, { numRuns: 60 }).map(check));
  });

  it("ends as timed out when requests never cease, and counts those that are cut", async () => {
    const { done } = start([4], { timeoutMs: 120 });
    const { idle, cutRequests, idleConnections, durationMs, revision } = await done;
    assert.deepEqual([idle, cutRequests, idleConnections, revision], ["timeout", 4, KEPT, 7]);
    assert(durationMs >= 120 && durationMs < 5_000);
  });

  it("waits until all connections are closed where it has to, and takes those that were kept to the end for upgraded ones", async () => {
    const kept = await start([1, 0], { untilClosed: true, timeoutMs: 120 }).done;
    assert.deepEqual([kept.idle, kept.idleConnections, kept.cutUpgraded, kept.cutRequests], ["timeout", 0, KEPT, 0]);
    const open = [3, 1, 0, 0];
    let looks = 0;
    const look = async () => ({ open: open[Math.min(looks++, 3)] as number, busy: 0, unaccepted: 0, restMs: 0 });
    const closed = await start([], { untilClosed: true, look }).done;
    assert.deepEqual([closed.idle, closed.idleConnections, closed.cutUpgraded, looks], ["idle", 0, 0, 4]);
  });

  it("tells until when upgraded connections may live on: for as long as requests are waited for", async () => {
    const began = performance.now();
    const { patientUntilMs } = await start([0], { pauseMs: 50, timeoutMs: 10_000 }).drained;
    assert(patientUntilMs >= began + 10_000 && patientUntilMs <= performance.now() + 10_000);
    const forced = await start([0], { forced: "now", timeoutMs: 10_000 }).drained;
    assert(forced.patientUntilMs <= performance.now());
  });

  it("tells what it waits for, in order", async () => {
    const { done, steps } = start([1, 1, 1, 0]);
    await done;
    assert.deepEqual(steps, ["withdrawal", "edges", "requests"]);
  });

  it("lets the readers of the serverset have their pause", async () => {
    const { durationMs } = await start([0], { pauseMs: 150 }).done;
    assert(durationMs >= 150);
  });

  it("waits for a bus that is away for as long as it takes, where no bound was given", async () => {
    let take: (mark: Mark) => void = () => {};
    const withdrawal = new Promise<Mark>((resolve) => {
      take = resolve;
    });
    const { done, steps } = start([0], { withdraw: () => withdrawal, timeoutMs: 0 });
    const first = await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 150, "waiting"))]);
    assert.equal(first, "waiting");
    assert.deepEqual(steps, ["withdrawal"]);
    take(9 as Mark);
    assert.equal((await done).revision, 9);
  });

  it("goes on without the bus at its bound, with no revision and no pause, and says so", async () => {
    const record = await start([0], { withdraw: never, withdrawTimeoutMs: 50, pauseMs: 60_000 }).done;
    assert.deepEqual([record.edges, record.idle, "revision" in record], ["timeout", "idle", false]);
  });

  it("waits for nothing where it is forced, and carries the reason", async () => {
    const record = await start([5], { forced: "it is on fire", pauseMs: 60_000, timeoutMs: 60_000 }).done;
    assert.deepEqual(
      [record.edges, record.idle, record.cutRequests, record.reason],
      ["forced", "forced", 5, "it is on fire"],
    );
  });

  it("ends with the signal's reason wherever it stands when it is taken back", async () => {
    const places: Partial<DrainOptions>[] = [{ withdraw: never }, { pauseMs: 60_000 }, {}];
    for (const place of places) {
      const { done, abort } = start([1], place);
      const reason = new Error("taken back");
      setImmediate(() => abort.abort(reason));
      await assert.rejects(done, reason);
    }
  });

  it("passes on a withdrawal that failed for another reason", async () => {
    const broken = new Error("broken");
    await assert.rejects(start([0], { withdraw: () => Promise.reject(broken), withdrawTimeoutMs: 1_000 }).done, broken);
  });
});
