import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertRenderable } from "../../../edge/proxies/renderable.ts";
import type { Table } from "../../../edge/table/table.ts";
import { allTo } from "../../../edge/table/unnamed.ts";
import { ProxyRejectedError } from "../../../protocol/edge-errors.ts";

const table: Table = {
  ...{ service: "web", epoch: 1, routesRevision: 1, serversetsRevision: 1, fallback: null },
  unnamed: allTo("A"),
  versions: [
    { version: "A", endpoints: [{ id: "prod.h1.a", stage: "prod", address: "127.0.3.1", port: 9_001, weight: 2 }] },
    { version: "B", endpoints: [] },
  ],
};

describe("the check before a table is written into a proxy's configuration", () => {
  it("accepts a table of atomic mode, and the empty one", () => {
    assertRenderable(table);
    assertRenderable({ ...table, unnamed: [], versions: [] });
  });

  it("refuses a table that shares requests out: no proxy implements that yet", () => {
    const shared = [
      { version: "A", share: 9_000, stage: "prod" },
      { version: "B", share: 1_000, stage: "prod" },
    ];
    assert.throws(
      () => assertRenderable({ ...table, unnamed: shared }),
      (error: Error) => error instanceof ProxyRejectedError && error.message.startsWith("unnamed "),
    );
  });

  it("refuses a version with a quote in it", () => {
    assert.throws(() => assertRenderable({ ...table, unnamed: allTo('A"') }), /unnamed\[0\]\.version/);
  });
});
