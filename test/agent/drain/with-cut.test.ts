import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withCut } from "../../../agent/drain/with-cut.ts";
import type { DrainRecord } from "../../../protocol/host-status.ts";

const record: DrainRecord = {
  version: "1",
  startedAt: "2026-01-01T00:00:00.000Z",
  durationMs: 2_000,
  edges: "acked",
  idle: "idle",
  idleConnections: 3,
  cutUpgraded: 0,
  cutRequests: 0,
};

describe("a drain's record, completed with what was cut", () => {
  for (const [what, before, cut, after] of [
    ["says nothing new where the app closed everything", {}, 0, null],
    ["counts what the app kept as upgraded, and the rest as idle", {}, 1, { idleConnections: 2, cutUpgraded: 1 }],
    ["does not count requests twice", { cutRequests: 2 }, 3, { idleConnections: 2, cutUpgraded: 1 }],
    ["says nothing new where only requests were cut", { cutRequests: 2 }, 2, null],
    ["has no fewer idle ones than none", { idleConnections: 0 }, 1, { idleConnections: 0, cutUpgraded: 1 }],
    ["keeps what it had counted", { idleConnections: 0, cutUpgraded: 3 }, 1, null],
  ] as const) {
    it(what, () => {
      const seen = withCut({ ...record, ...before }, cut);
      assert.deepEqual(seen, after && { ...record, ...before, ...after });
    });
  }

  it("completes a record of a version that did not tell upgraded connections apart", () => {
    const { cutUpgraded: _, ...older } = record;
    assert.equal(withCut(older, 0), null);
    assert.deepEqual(withCut(older, 2), { ...record, idleConnections: 1, cutUpgraded: 2 });
  });
});
