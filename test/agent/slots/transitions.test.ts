import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Machine } from "../../../agent/slots/machine.ts";
import { slotEvents, transition } from "../../../agent/slots/transitions.ts";
import { slotStates } from "../../../protocol/states.ts";

/**
 * Every state with every event: the state after it, or a dash where it is refused. Written by hand, as the design has
 * it.
 */
const expected = `
            fetch     unpack     start     adopt    ready    drain     undrain  stop      remove    clear  fail
empty       fetching  -          starting  serving  -        -         -        stopping  removing  empty  failed
fetching    fetching  unpacking  starting  -        -        -         -        -         removing  empty  failed
unpacking   fetching  -          starting  -        -        -         -        -         removing  empty  failed
starting    -         -          starting  -        serving  -         -        stopping  -         -      failed
serving     -         -          -         -        -        draining  -        -         -         -      failed
draining    -         -          -         -        -        draining  serving  stopping  -         -      failed
stopping    fetching  -          starting  -        -        -         -        stopping  removing  empty  failed
removing    fetching  -          starting  -        -        -         -        -         removing  empty  failed
failed      fetching  -          starting  -        -        -         -        stopping  removing  empty  failed
`;

const [header = [], ...rows] = expected
  .trim()
  .split("\n")
  .map((line) => line.trim().split(/\s+/));

describe("the states of a slot", () => {
  it("are all in the table, with all events", () => {
    assert.deepEqual([...header].sort(), [...slotEvents].sort());
    assert.deepEqual(rows.map(([state]) => state).sort(), [...slotStates].sort());
  });

  for (const [state, ...nexts] of rows) {
    it(`lead from ${state} to what the table says, by every event`, () => {
      for (const [i, next] of nexts.entries()) {
        const event = header[i] as (typeof slotEvents)[number];
        const found = transition(state as (typeof slotStates)[number], event);
        assert.equal(found, next === "-" ? null : next, `${state} on ${event}`);
      }
    });
  }

  it("never lead out of serving but through a drain, or by a verdict", () => {
    for (const event of slotEvents.filter((each) => each !== "fail")) {
      const next = transition("serving", event);
      assert(next === null || next === "draining", `serving on ${event} is ${next}`);
    }
  });
});

describe("a slot's machine", () => {
  it("refuses an event that its state does not know, and stays as it was", () => {
    const machine = new Machine();
    const seen: unknown[] = [];
    machine.on("change", (...change) => seen.push(change));
    assert.throws(() => machine.send("ready"), { code: "INTERNAL", message: /ready.*empty/ });
    assert.equal(machine.state, "empty");
    assert.deepEqual(seen, []);
    machine.send("fetch");
    assert.deepEqual(seen, [["fetching", "empty", "fetch"]]);
  });

  it("keeps the moment of entry when an event leads to where it is", () => {
    const machine = new Machine();
    machine.send("start");
    machine.since = "2026-01-02T03:04:05.678Z";
    machine.send("start");
    assert.equal(machine.since, "2026-01-02T03:04:05.678Z");
  });
});
