import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type KnownEdge, missingEdges } from "../../../../controller-stub/deploy/decisions/missing-edges.ts";
import type { EdgeStatus } from "../../../../protocol/routes.ts";

describe("missing edges", () => {
  const edge = (over: Partial<EdgeStatus>): KnownEdge => {
    const at = "2026-01-01T00:00:00.000Z";
    const rest = { serving: [], default: null, at, leaseMs: 1, endpoints: 0, heldBack: 0, problems: [] };
    const status = {
      service: "web",
      edge: "e1",
      proxy: "p",
      appliedRoutes: 7,
      appliedServersets: 9,
      epoch: 3,
      ...rest,
    };
    return { edge: "e1", status: { ...status, ...over } };
  };
  const need = { routes: 7, epoch: 3, serversets: 9 };

  it("an edge counts only with the routes, their epoch and the members that are needed", () => {
    const why = (known: KnownEdge) => missingEdges([known], need, [])[0]?.why;
    assert.equal(why(edge({})), undefined);
    assert.equal(why(edge({ appliedRoutes: 8, appliedServersets: 90 })), undefined);
    assert.equal(why(edge({ appliedRoutes: 6 })), "at routes 6, needs 7");
    assert.equal(why(edge({ epoch: 2 })), "at epoch 2, needs 3");
    assert.equal(why(edge({ epoch: 4 })), "at epoch 4, needs 3");
    assert.equal(why(edge({ appliedServersets: 8 })), "at members 8, needs 9");
    assert.equal(why({ edge: "e1", status: null, problem: "is not JSON" }), "its status can't be read: is not JSON");
    assert.deepEqual(missingEdges([edge({ appliedRoutes: 0 })], need, ["e1"]), []);
  });

  it("an edge that has applied a later epoch refuses these routes", () => {
    const [missing] = missingEdges([edge({ epoch: 4, appliedRoutes: 6 })], need, []);
    assert.equal(missing?.refusal, "it has applied routes of the later epoch 4");
  });

  it("an edge refuses routes if it has reported a problem with them for longer than a heartbeat", () => {
    const problems = [{ code: "ROUTES_UNSUPPORTED", message: "no shares" }];
    const reports = (at: string, over: Partial<EdgeStatus> = {}) =>
      missingEdges(
        [edge({ appliedRoutes: 6, problems, at, ...over })],
        need,
        [],
        new Map([["e1", "2026-01-01T00:00:00.000Z"]]),
      )[0]?.refusal;
    assert.equal(reports("2026-01-01T00:00:05.000Z"), undefined);
    assert.equal(reports("2026-01-01T00:00:10.000Z"), "ROUTES_UNSUPPORTED: no shares");
    // Other problems, and problems of an edge that has applied the routes, are not refusals.
    const member = [{ code: "MEMBER_MALFORMED", message: "no port" }];
    assert.equal(reports("2026-01-01T00:00:10.000Z", { problems: member }), undefined);
    assert.equal(reports("2026-01-01T00:00:10.000Z", { appliedRoutes: 7, appliedServersets: 8 }), undefined);
  });
});
