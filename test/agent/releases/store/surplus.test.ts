import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type KeptRelease, surplus } from "../../../../agent/releases/store/surplus.ts";

const kept = (version: string, day: number, bytes = 10): KeptRelease => ({
  version,
  installedAt: new Date(Date.UTC(2026, 0, day)).toISOString(),
  bytes,
});
const roomy = { bytesPercent: 10, inodesPercent: 10 };
const policy = { keep: 2, maxBytes: null, maxDiskPercent: 80 };
const all = [kept("v1", 1), kept("v2", 2), kept("v3", 3), kept("v4", 4)];

describe("which release goes next", () => {
  it("is none as long as no more are spare than are to be kept", () => {
    assert.equal(surplus(all, new Set(["v1", "v2"]), policy, roomy), null);
    assert.equal(surplus([], new Set(), policy, roomy), null);
  });

  it("is the oldest that is not in use", () => {
    assert.equal(surplus(all, new Set(["v4"]), policy, roomy), "v1");
    assert.equal(surplus(all, new Set(["v1"]), policy, roomy), "v2");
  });

  it("is one although few are spare, where all together are too large, or the disk too full, in bytes or inodes", () => {
    const inUse = new Set(["v3", "v4"]);
    assert.equal(surplus(all, inUse, { ...policy, maxBytes: 39 }, roomy), "v1");
    assert.equal(surplus(all, inUse, { ...policy, maxBytes: 40 }, roomy), null);
    assert.equal(surplus(all, inUse, policy, { ...roomy, bytesPercent: 80.1 }), "v1");
    assert.equal(surplus(all, inUse, policy, { ...roomy, inodesPercent: 99 }), "v1");
  });

  it("is never one in use, and comes to an end", () => {
    const releases = fc.uniqueArray(
      fc.record({ version: fc.string({ minLength: 1, maxLength: 3 }), day: fc.integer({ min: 1, max: 9 }) }),
      { selector: ({ version }) => version, maxLength: 12 },
    );
    const bounds = fc.record({ keep: fc.nat(5), maxBytes: fc.option(fc.nat(100)), maxDiskPercent: fc.nat(100) });
    fc.assert(
      fc.property(releases, fc.func(fc.boolean()), bounds, fc.nat(100), (made, isUsed, policy, percent) => {
        let left = made.map(({ version, day }) => kept(version, day));
        const inUse = new Set(left.map(({ version }) => version).filter((version) => isUsed(version)));
        for (;;) {
          const next = surplus(left, inUse, policy, { bytesPercent: percent, inodesPercent: 0 });
          if (next === null) break;
          assert(!inUse.has(next));
          assert(left.some(({ version }) => version === next));
          left = left.filter(({ version }) => version !== next);
        }
        assert(left.filter(({ version }) => !inUse.has(version)).length <= policy.keep);
      }),
    );
  });
});
