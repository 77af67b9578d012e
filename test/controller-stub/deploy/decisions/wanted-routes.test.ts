import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nextRoutes } from "../../../../controller-stub/deploy/decisions/next-routes.ts";
import {
  routesDuring,
  routesOffered,
  routesSwitched,
} from "../../../../controller-stub/deploy/decisions/wanted-routes.ts";
import { routesSchema } from "../../../../protocol/routes.ts";

import { running } from "../running-deploy.ts";

const SHA = "a".repeat(64);

describe("the routes of each step", () => {
  it("drop replaced versions first, add the new one last, and always serve the default", () => {
    const deploy = running({});
    const brief = (routes: ReturnType<typeof routesDuring>) => routes && [routes.default, routes.serving];
    assert.deepEqual(brief(routesDuring(deploy)), ["B", ["B"]]);
    assert.deepEqual(brief(routesOffered(deploy)), ["B", ["B", "C"]]);
    assert.deepEqual(brief(routesSwitched(deploy)), ["C", ["B", "C"]]);
    const first = running({ from: { default: null, serving: [], releases: {} }, withdrawn: [] });
    assert.deepEqual(
      [routesDuring(first), routesOffered(first), brief(routesSwitched(first))],
      [null, null, ["C", ["C"]]],
    );
    const before = routesSchema.parse({
      epoch: 1,
      revision: 4,
      mode: "atomic",
      default: "B",
      serving: ["A", "B"],
      digests: { A: SHA, X: SHA },
    });
    const next = nextRoutes(before, routesSwitched(deploy), 9);
    assert.deepEqual(routesSchema.parse(next), {
      epoch: 9,
      revision: 5,
      mode: "atomic",
      default: "C",
      serving: ["B", "C"],
      digests: { A: SHA, C: SHA },
    });
  });
});
