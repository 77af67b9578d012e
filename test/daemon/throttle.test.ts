import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Throttle } from "../../daemon/throttle.ts";

describe("a throttle", () => {
  it("runs soon after the first call, once for all calls within the gap, and not after its stop", (t) => {
    // Fake clocks: the time is the subject.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let now = 1_000;
    t.mock.method(performance, "now", () => now);
    const pass = (ms: number) => {
      now += ms;
      t.mock.timers.tick(ms);
    };
    let runs = 0;
    const throttle = new Throttle(() => runs++, 200);
    throttle.call();
    pass(1);
    assert.equal(runs, 1);
    for (let i = 0; i < 1_000; i++) throttle.call();
    pass(100);
    assert.equal(runs, 1);
    pass(100);
    assert.equal(runs, 2);
    throttle.call();
    throttle.now();
    assert.equal(runs, 3, "at once, and for the call before it");
    pass(1_000);
    assert.equal(runs, 3);
    throttle.call();
    throttle.stop();
    pass(1_000);
    assert.equal(runs, 3);
  });
});
