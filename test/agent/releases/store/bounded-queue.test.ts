import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BoundedQueue } from "../../../../agent/releases/store/bounded-queue.ts";

const wanted = new AbortController().signal;

/** Work that ends when told to. */
function gated() {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const work = { begun: false, end: () => open(), run: () => Promise.resolve() };
  work.run = () => {
    work.begun = true;
    return gate;
  };
  return work;
}

describe("a bounded queue", () => {
  it("does one at a time, in the order of the requests", async () => {
    const queue = new BoundedQueue("work", 10);
    const order: number[] = [];
    let running = 0;
    const each = Array.from({ length: 5 }, (_, i) =>
      queue.run(wanted, async () => {
        assert.equal(++running, 1);
        await new Promise(setImmediate);
        order.push(i);
        running--;
      }),
    );
    await Promise.all(each);
    assert.deepEqual(order, [0, 1, 2, 3, 4]);
  });

  it("refuses a request behind too many others, and accepts again when they are done", async () => {
    const queue = new BoundedQueue("verification", 2);
    const [one, two, three] = [gated(), gated(), gated()];
    const runs = [one, two, three].map((each) => queue.run(wanted, each.run));
    await assert.rejects(queue.run(wanted, gated().run), {
      code: "AGENT_BUSY",
      message: /3 requests for verification/,
    });
    for (const each of [one, two, three]) each.end();
    await Promise.all(runs);
    assert.equal(await queue.run(wanted, async () => "done"), "done");
  });

  it("frees the place of a request that is given up while it waits, and never begins its work", async () => {
    const queue = new BoundedQueue("work", 1);
    const [one, two, three] = [gated(), gated(), gated()];
    const first = queue.run(wanted, one.run);
    const left = new AbortController();
    const second = queue.run(left.signal, two.run);
    left.abort(new Error("the client is gone"));
    await assert.rejects(second, /the client is gone/);
    const third = queue.run(wanted, three.run);
    for (const each of [one, three]) each.end();
    await Promise.all([first, third]);
    assert.deepEqual([one.begun, two.begun, three.begun], [true, false, true]);
  });

  it("goes on after work that fails", async () => {
    const queue = new BoundedQueue("work", 1);
    const failed = queue.run(wanted, () => Promise.reject(new Error("unreadable")));
    const next = queue.run(wanted, async () => 7);
    await assert.rejects(failed, /unreadable/);
    assert.equal(await next, 7);
  });
});
