import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { Restarter } from "../../../agent/workers/restarter.ts";
import { WorkerIndexes } from "../../../agent/workers/worker-index.ts";

describe("Restarter", () => {
  it("starts no further worker once it was stopped while one was being started", async () => {
    const begun: number[] = [];
    let started = () => {};
    const first = new Promise<void>((resolve) => {
      started = resolve;
    });
    const start = ({ number }: { number: number }) => {
      begun.push(number);
      return first;
    };
    const backoff = { restart_backoff_min_ms: 1, restart_backoff_max_ms: 1 };
    const restarter = new Restarter(new WorkerIndexes(3), backoff, start, pino({ enabled: false }));
    const done = restarter.startMissing();
    restarter.stop();
    started();
    await done;
    assert.deepEqual(begun, [0]);
  });
});
