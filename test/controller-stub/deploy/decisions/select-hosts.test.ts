import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { matchesPattern, selectHosts } from "../../../../controller-stub/deploy/decisions/select-hosts.ts";

describe("host patterns", () => {
  it("match patterns against whole names, where a dot is a dot", () => {
    assert.ok(
      matchesPattern("h*", "h12") &&
        matchesPattern("*.eu", "h1.eu") &&
        matchesPattern("h1", "h1") &&
        matchesPattern("*", "x"),
    );
    assert.ok(!matchesPattern("h1", "h12") && !matchesPattern("*.eu", "h1-eu") && !matchesPattern("h*2", "h1"));
    const names = ["h1", "h2", "x1"];
    assert.deepEqual(selectHosts(names, { only: [], exclude: ["x*"] }), { hosts: ["h1", "h2"], unmatched: [] });
    assert.deepEqual(selectHosts(names, { only: ["h*", "y"], exclude: ["h2"] }), { hosts: ["h1"], unmatched: ["y"] });
  });
});
