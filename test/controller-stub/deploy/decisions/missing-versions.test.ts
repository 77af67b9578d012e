import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { missingVersions } from "../../../../controller-stub/deploy/decisions/missing-versions.ts";

describe("missing versions", () => {
  it("are those that are served and that a host lacks, the default first", () => {
    const routes = { default: "B", serving: ["A", "B"] };
    const at = (a: string | null, b: string | null) => [
      { slot: "a", version: a },
      { slot: "b", version: b },
    ];
    assert.deepEqual(missingVersions(at("A", "B"), routes), []);
    assert.deepEqual(missingVersions(at(null, null), routes), [
      { slot: "a", version: "B" },
      { slot: "b", version: "A" },
    ]);
    assert.deepEqual(missingVersions(at("A", "X"), routes), [{ slot: "b", version: "B" }]);
    assert.deepEqual(missingVersions(at("X", null), routes), [
      { slot: "b", version: "B" },
      { slot: "a", version: "A" },
    ]);
  });
});
