import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { StopStack } from "../../daemon/stop-stack.ts";
import { PATIENCE_MS, until } from "../support/until.ts";

/** A stack, and what it logged. */
function createStack(): { stops: StopStack; logged: { name: string; err: { message: string } }[] } {
  const logged: { name: string; err: { message: string } }[] = [];
  const stops = new StopStack(pino({}, { write: (line) => void logged.push(JSON.parse(line)) }));
  return { stops, logged };
}

describe("a stack of stops", () => {
  it("stops in reverse order, one after the other, and each once", async () => {
    const { stops, logged } = createStack();
    const done: string[] = [];
    stops.push("first", () => done.push("first"));
    stops.push("second", async () => {
      await Promise.resolve();
      done.push("second");
    });
    stops.push("third", () => done.push("third"));
    await Promise.all([stops.stopAll(PATIENCE_MS), stops.stopAll(PATIENCE_MS)]);
    assert.deepEqual(done, ["third", "second", "first"]);
    assert.deepEqual(logged, []);
  });

  it("stops the rest where one fails, and logs the failure", async () => {
    const { stops, logged } = createStack();
    let reached = false;
    stops.push("the rest", () => {
      reached = true;
    });
    stops.push("later", () => Promise.reject(new Error("rejected")));
    stops.push("at once", () => {
      throw new Error("thrown");
    });
    await stops.stopAll(PATIENCE_MS);
    assert.deepEqual(
      logged.map(({ name, err }) => [name, err.message]),
      [
        ["at once", "thrown"],
        ["later", "rejected"],
      ],
    );
    assert(reached);
  });

  it("calls every stop, but waits for none of them after the deadline", async () => {
    const { stops } = createStack();
    let reached = false;
    let deadline: AbortSignal | undefined;
    stops.push("the rest", () => {
      reached = true;
    });
    stops.push("endless", (signal) => {
      deadline = signal;
      return new Promise(() => {});
    });
    // The deadline's own timer does not keep a process alive.
    const alive = setInterval(() => {}, PATIENCE_MS);
    await stops.stopAll(1);
    clearInterval(alive);
    assert(reached);
    assert.equal(deadline?.aborted, true);
  });

  it("repeats work, also after a failure, until it is stopped", async () => {
    const { stops, logged } = createStack();
    let calls = 0;
    stops.repeat("work", 1, () => {
      if (++calls === 1) throw new Error("the first time");
    });
    await until("it was called again", () => calls > 2);
    await stops.stopAll(PATIENCE_MS);
    assert.deepEqual(
      logged.map(({ name, err }) => [name, err.message]),
      [["work", "the first time"]],
    );
  });
});
