import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Chaos,
  type Fault,
  faultKinds,
  planFaults,
} from "../../../../scripts/benchmarks/support/chaos/plan-faults.ts";
import { groupBy } from "../../../../scripts/benchmarks/support/group-by.ts";

const FULL: Chaos = { seed: 42, ms: 180_000, hosts: ["h1", "h2"] };
const SEEDS = Array.from({ length: 200 }, (_, seed) => seed);
const LEASE_MS = 15_000;

describe("the faults of a seed", () => {
  it("are always the same, and others for another seed", () => {
    assert.deepEqual(planFaults(FULL), planFaults(FULL));
    const plans = SEEDS.map((seed) => JSON.stringify(planFaults({ ...FULL, seed })));
    assert.equal(new Set(plans).size, SEEDS.length);
  });

  it("begin with the same ones, however long the chaos is", () => {
    const begin = ({ atMs, downMs }: Fault) => atMs + downMs < 60_000;
    const long = planFaults({ ...FULL, ms: 600_000 });
    assert.deepEqual(planFaults(FULL).filter(begin), long.filter(begin));
  });

  it("are in the order of their times, of every kind and every host, and over by the end", () => {
    for (const seed of SEEDS) {
      for (const ms of [40_000, 180_000]) {
        const plan = planFaults({ ...FULL, seed, ms });
        assert.deepEqual(new Set(plan.map(({ kind }) => kind)), new Set(faultKinds), `seed ${seed}`);
        assert.deepEqual(new Set(plan.map(({ victim }) => victim)).size, faultKinds.length + 1);
        for (const [i, { atMs, downMs }] of plan.entries()) {
          assert(atMs >= (plan[i - 1]?.atMs ?? 0) && downMs >= 0 && atMs + downMs <= ms);
        }
      }
    }
  });

  it("find each process up, and leave leases to lapse", () => {
    for (const seed of SEEDS) {
      const plan = planFaults({ ...FULL, seed });
      for (const lane of groupBy(plan, ({ victim }) => victim).values())
        for (const [i, { atMs }] of lane.entries()) {
          const before = lane[i - 1];
          assert(!before || atMs > before.atMs + before.downMs);
        }
      const longest = (kind: string) =>
        Math.max(...plan.filter((each) => each.kind === kind).map((each) => each.downMs));
      assert(longest("agent") > LEASE_MS && longest("nats") > LEASE_MS, `seed ${seed}`);
      assert(longest("proxy") <= 200);
    }
  });

  it("leave out the kinds that there are not, and have an edge that is its own proxy back at once", () => {
    const plan = planFaults({ ...FULL, kinds: ["agent", "edge"] });
    assert.deepEqual(new Set(plan.map(({ kind }) => kind)), new Set(["agent", "edge"]));
    assert(plan.every(({ kind, downMs }) => kind !== "edge" || downMs <= 200));
  });
});
