import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  endedUnordered,
  type SlotOrder,
  type WorkerLife,
} from "../../../../scripts/benchmarks/support/chaos/judge-ends.ts";

function order(atMs: number, version: string | null, at: Partial<SlotOrder> = {}) {
  return { atMs, revision: atMs, value: { host: "h1", slot: "a", version, ...at } };
}

function life(firstSeenMs: number, goneMs: number | null, version = "A"): WorkerLife {
  return { host: "h1", slot: "a", version, pid: 7, firstSeenMs, goneMs };
}

describe("a worker's end", () => {
  const cases: [what: string, life: WorkerLife, orders: ReturnType<typeof order>[], unordered: boolean][] = [
    ["nothing where it lives", life(10, null), [order(0, "A")], false],
    ["its replacement", life(10, 30), [order(0, "A"), order(20, "B")], false],
    ["the removal of its version", life(10, 30), [order(0, "A"), order(20, null)], false],
    ["an order that came as it started", life(10, 30), [order(0, "A"), order(5, "B")], false],
    ["nothing where no order came", life(10, 30), [order(0, "A")], true],
    ["nothing where the order came later", life(10, 30), [order(0, "A"), order(40, "B")], true],
    ["nothing where the same version was ordered again", life(10, 30), [order(0, "A"), order(20, "A")], true],
    ["nothing that an earlier order says", life(50, 60), [order(0, "A"), order(20, "B"), order(40, "A")], true],
    ["nothing that another slot was told", life(10, 30), [order(0, "A"), order(20, "B", { slot: "b" })], true],
    ["nothing that another host was told", life(10, 30), [order(0, "A"), order(20, "B", { host: "h2" })], true],
  ];
  for (const [what, worker, orders, unordered] of cases)
    it(`is ${unordered ? "unordered" : "meant"}: it is due to ${what}`, () => {
      assert.equal(endedUnordered([worker], orders).length, unordered ? 1 : 0);
    });
});
