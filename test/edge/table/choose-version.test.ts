import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chooseVersion } from "../../../edge/table/choose-version.ts";
import type { Table } from "../../../edge/table/table.ts";
import { allTo } from "../../../edge/table/unnamed.ts";

/** The default is B; the versions in the list have an endpoint, A and B are served. */
function tableWith(alive: readonly string[], fallback: string | null = null): Table {
  const endpoint = { id: "prod.h1.a", stage: "prod", address: "127.0.5.1", port: 9_100, weight: 1 };
  return {
    ...{ service: "web", epoch: 1, routesRevision: 1, serversetsRevision: 1, unnamed: allTo("B"), fallback },
    versions: ["A", "B"].map((version) => ({ version, endpoints: alive.includes(version) ? [endpoint] : [] })),
  };
}

describe("the version that answers", () => {
  const both = tableWith(["A", "B"]);
  const noRoutes = { ...both, unnamed: [], versions: [] };
  const cases: [string, Parameters<typeof chooseVersion>, string | null][] = [
    ["is the named one", [both, "A"], "A"],
    ["is the default if none is named", [both, null], "B"],
    ["is the default if the named one is not served", [both, "C"], "B"],
    ["is the default if the named one has no endpoint", [tableWith(["B"]), "A"], "B"],
    ["is the fallback if nobody serves the default", [tableWith(["A"], "A"), null], "A"],
    ["is the fallback if nobody serves the default and the named one is not served", [tableWith(["A"], "A"), "C"], "A"],
    ["is the named one although nobody serves the default", [tableWith(["A"]), "A"], "A"],
    ["is none if nobody serves the default and there is no fallback", [tableWith(["A"]), null], null],
    ["is none if nobody serves any of them", [tableWith([], "A"), "A"], null],
    ["is none before there are routes", [noRoutes, "A"], null],
  ];
  for (const [what, given, expected] of cases) it(what, () => assert.equal(chooseVersion(...given), expected));
});
