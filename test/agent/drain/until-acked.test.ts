import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { after, before, describe, it } from "node:test";
import type { Acknowledgement, Mark } from "../../../agent/drain/mark.ts";
import { type AcknowledgingEdges, type AckOptions, untilAcked } from "../../../agent/drain/until-acked.ts";

/** Edges that report what a test says; null: nothing could be read yet. */
class Reporting extends EventEmitter implements AcknowledgingEdges {
  reachable = true;
  refreshes = 0;
  constructor(private edges: Record<string, number> | null) {
    super();
  }
  live(): Acknowledgement[] | null {
    return this.edges && Object.entries(this.edges).map(([edge, appliedServersets]) => ({ edge, appliedServersets }));
  }
  hasApplied({ appliedServersets }: Acknowledgement, mark: Mark): boolean {
    return appliedServersets >= mark;
  }
  async refresh() {
    this.refreshes++;
  }
  async changed(signal: AbortSignal) {
    await once(this, "change", { signal });
  }
  say(edges: Record<string, number> | null): void {
    this.edges = edges;
    this.emit("change");
  }
}

function wait(edges: Reporting, over: Partial<AckOptions> = {}) {
  const abort = new AbortController();
  const steps: string[] = [];
  let over_ = false;
  const end = untilAcked({
    edges,
    mark: 7 as Mark,
    timeoutMs: 10_000,
    hurried: false,
    signal: abort.signal,
    onProgress: (acked, live) => steps.push(`${acked}/${live}`),
    ...over,
  }).finally(() => {
    over_ = true;
  });
  end.catch(() => {});
  /** Lets everything happen that is due, and tells whether it ended. */
  const ended = async () => {
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    return over_;
  };
  return { end, steps, abort, ended };
}

describe("waiting for the edges", () => {
  // What is waited for holds nothing by itself.
  let running: NodeJS.Timeout;
  before(() => {
    running = setInterval(() => {}, 1_000);
  });
  after(() => clearInterval(running));

  it("ends when the last of them runs with that very revision, or a later one", async () => {
    const edges = new Reporting({ e1: 6, e2: 3 });
    const { end, ended, steps } = wait(edges);
    assert.equal(await ended(), false);
    edges.say({ e1: 7, e2: 6 });
    assert.equal(await ended(), false);
    edges.say({ e1: 7, e2: 8 });
    assert.deepEqual(await end, { clause: "acked" });
    assert.deepEqual(steps, ["0/2", "1/2"]);
    assert.equal(edges.refreshes, 1);
  });

  it("does not wait where all have it already", async () => {
    assert.deepEqual(await wait(new Reporting({ e1: 7 })).end, { clause: "acked" });
  });

  it("says so where there is no edge, or none is left", async () => {
    assert.deepEqual(await wait(new Reporting({})).end, { clause: "none" });
    const edges = new Reporting({ e1: 1 });
    const { end, ended } = wait(edges);
    assert.equal(await ended(), false);
    edges.say({});
    assert.deepEqual(await end, { clause: "none" });
  });

  it("leaves out an edge whose lease lapses, and waits for one that comes", async () => {
    const edges = new Reporting({ e1: 1, e2: 7 });
    const { end, ended } = wait(edges);
    edges.say({ e1: 1, e2: 7, e3: 6 });
    assert.equal(await ended(), false);
    edges.say({ e2: 7, e3: 6 });
    assert.equal(await ended(), false);
    edges.say({ e2: 7, e3: 7 });
    assert.deepEqual(await end, { clause: "acked" });
  });

  it("waits for an edge whose proxy went away after it had acknowledged", async () => {
    const edges = new Reporting({ e1: 7, e2: 6 });
    const { end, ended } = wait(edges);
    edges.say({ e1: 0, e2: 7 });
    assert.equal(await ended(), false);
    edges.say({ e1: 8, e2: 7 });
    assert.deepEqual(await end, { clause: "acked" });
  });

  it("names those that are missing when its bound is over", async () => {
    const began = performance.now();
    const end = await wait(new Reporting({ e1: 7, e2: 0, e3: 6 }), { timeoutMs: 60 }).end;
    assert.deepEqual(end, { clause: "timeout", missing: ["e2", "e3"] });
    assert(performance.now() - began >= 59);
  });

  it("waits for the first read, and gives up on it at the bound", async () => {
    const edges = new Reporting(null);
    const { end, ended } = wait(edges);
    assert.equal(await ended(), false);
    edges.say({});
    assert.deepEqual(await end, { clause: "none" });
    const never = await wait(new Reporting(null), { timeoutMs: 20 }).end;
    assert.deepEqual(never, { clause: "timeout", missing: [] });
  });

  it("does not count the time in which the bus is away, unless the agent itself is to end", async () => {
    const away = new Reporting({ e1: 1 });
    away.reachable = false;
    const hurried = await wait(away, { timeoutMs: 30, hurried: true }).end;
    assert.deepEqual(hurried, { clause: "timeout", missing: ["e1"] });
    const { end, ended } = wait(away, { timeoutMs: 30 });
    // As long as the bound would be, twice.
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(await ended(), false);
    away.reachable = true;
    away.say({ e1: 1 });
    assert.deepEqual(await end, { clause: "timeout", missing: ["e1"] });
  });

  it("ends with the signal's reason when it is taken back", async () => {
    const { end, abort, ended } = wait(new Reporting({ e1: 1 }));
    assert.equal(await ended(), false);
    const reason = new Error("taken back");
    abort.abort(reason);
    await assert.rejects(end, reason);
  });
});
