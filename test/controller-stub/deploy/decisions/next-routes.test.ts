import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { equalRoutes } from "../../../../controller-stub/deploy/decisions/next-routes.ts";
import type { Routes } from "../../../../protocol/routes.ts";

const routes: Routes = {
  ...{ epoch: 4, revision: 9, mode: "atomic", default: "B", serving: ["A", "B"] },
  ...{ digests: { A: "a".repeat(64), B: "b".repeat(64) }, updatedBy: "ann", updatedAt: "2026-11-01T00:00:00.000Z" },
};

describe("routes that mean the same", () => {
  it("may differ in who wrote them, when, and under which revision", () => {
    const { A, B } = routes.digests as Record<string, string>;
    const { updatedAt: _, ...undated } = routes;
    assert(equalRoutes(routes, { ...undated, revision: 10, updatedBy: "bob", digests: { B: B ?? "", A: A ?? "" } }));
  });

  const others: [string, Partial<Routes>][] = [
    ["epoch", { epoch: 5 }],
    ["mode", { mode: "rolling" }],
    ["default", { default: "A" }],
    ["versions", { serving: ["B"] }],
    ["order of versions", { serving: ["B", "A"] }],
    ["digests", { digests: {} }],
    ["stages", { stages: { prod: 100 } }],
  ];
  for (const [what, over] of others)
    it(`do not differ in their ${what}`, () => assert(!equalRoutes(routes, { ...routes, ...over })));
});
