import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { planWaves, waveSize } from "../../../../controller-stub/deploy/decisions/waves.ts";

describe("waves", () => {
  it("hold every host once, are never too large, and have canaries first and silent hosts last", () => {
    const hosts = fc.uniqueArray(
      fc.record({
        host: fc.stringMatching(/^[a-z][0-9]{1,3}$/),
        stage: fc.constantFrom("prod", "canary"),
        absent: fc.boolean(),
      }),
      { selector: ({ host }) => host, maxLength: 60 },
    );
    const wave = fc.oneof(
      fc.record({ percent: fc.double({ min: 1, max: 100, noNaN: true }) }),
      fc.record({ hosts: fc.integer({ min: 1, max: 70 }) }),
    );
    fc.assert(
      fc.property(hosts, wave, fc.constantFrom(null, "canary"), (all, size, canaryStage) => {
        const waves = planWaves(all, { wave: size, canaryStage });
        assert.deepEqual(waves.flat().sort(), all.map(({ host }) => host).sort());
        const canaries = all.filter(({ stage, absent }) => stage === canaryStage && !absent).map(({ host }) => host);
        const rest = canaries.length > 0 ? waves.slice(1) : waves;
        if (canaries.length > 0) assert.deepEqual(waves[0]?.toSorted(), canaries.sort());
        const most = waveSize(size, all.length - canaries.length);
        assert.ok(rest.every((each) => each.length > 0 && each.length <= most));
        const silent = rest.flat().map((name) => all.find(({ host }) => host === name)?.absent);
        assert.deepEqual(
          silent,
          silent.toSorted((x, y) => Number(x) - Number(y)),
        );
      }),
    );
    assert.deepEqual(
      [waveSize({ percent: 10 }, 6), waveSize({ percent: 10 }, 1000), waveSize({ percent: 15 }, 19)],
      [1, 100, 2],
    );
  });
});
