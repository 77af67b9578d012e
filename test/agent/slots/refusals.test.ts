import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusals, type Untold } from "../../../agent/slots/refusals.ts";

describe("refused orders", () => {
  const refusal = (more: { orderId?: string; field?: string }, code = "ORDER_MALFORMED") => ({
    code,
    message: "m",
    ...more,
  });

  it("are told once for each kind, and counted from then on, until the minute is over", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const untold: Untold[] = [];
    const refusals = new Refusals((each) => untold.push(each));
    assert.equal(refusals.isNews(refusal({ field: "id" })), true);
    for (let i = 0; i < 2_000; i++) assert.equal(refusals.isNews(refusal({ field: "id" })), false);
    assert.equal(refusals.isNews(refusal({ field: "epoch" })), true, "another field");
    assert.equal(refusals.isNews(refusal({ orderId: "1" }, "STALE_EPOCH")), true, "another rule");
    assert.deepEqual(untold, []);
    t.mock.timers.tick(60_000);
    assert.deepEqual(untold, [{ count: 2_000, last: refusal({ field: "id" }) }]);
    assert.equal(refusals.isNews(refusal({ field: "id" })), true, "a new minute");
    t.mock.timers.tick(60_000);
    assert.equal(untold.length, 1, "nothing was counted");
  });

  it("are counted if their kinds are too many, each order being one of its own", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const untold: Untold[] = [];
    const refusals = new Refusals((each) => untold.push(each));
    const told = Array.from({ length: 500 }, (_, i) => refusals.isNews(refusal({ orderId: String(i) }))).filter(
      Boolean,
    );
    t.mock.timers.tick(60_000);
    assert.equal(told.length, 20);
    assert.equal(untold[0]?.count, 480);
  });
});
