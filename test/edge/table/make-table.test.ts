import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ReadMember } from "../../../edge/members/read-member.ts";
import { atRevision, makeTable, routesAlike, type TableSource } from "../../../edge/table/make-table.ts";
import type { Routes } from "../../../protocol/routes.ts";

const member = (host: string, version: string, over: Partial<ReadMember> = {}): ReadMember => ({
  ...{
    id: `prod.${host}.a`,
    stage: "prod",
    host,
    address: "127.0.3.1",
    port: 8000,
    weight: 1,
    version,
    sha256: "a".repeat(64),
    alive: true,
  },
  ...over,
});
const routes = (over: Partial<Routes> = {}): Routes => ({
  ...{ epoch: 4, revision: 9, mode: "atomic", default: "B", serving: ["A", "B"] },
  ...over,
});
const source = (over: Partial<TableSource> = {}): TableSource => ({
  ...{ service: "web", routes: routes(), routesRevision: 7, serversetsRevision: 8, fallback: "none" },
  members: [member("h2", "B"), member("h1", "B"), member("h1", "C"), member("h3", "A")],
  ...over,
});

describe("a table", () => {
  it("has the endpoints of each served version, sorted, and no others", () => {
    const table = makeTable(source());
    assert.deepEqual(
      table.versions.map(({ version, endpoints }) => [version, endpoints.map(({ id }) => id)]),
      [
        ["A", ["prod.h3.a"]],
        ["B", ["prod.h1.a", "prod.h2.a"]],
      ],
    );
    assert.deepEqual(
      [table.epoch, table.routesRevision, table.serversetsRevision, table.unnamed, table.fallback],
      [4, 7, 8, [{ version: "B", share: 10_000, stage: null }], null],
    );
  });

  it("routes nothing before there are routes", () => {
    const table = makeTable(source({ routes: null, routesRevision: 0, fallback: "previous" }));
    assert.deepEqual([table.versions, table.unnamed, table.fallback, table.epoch], [[], [], null, 0]);
  });

  it("leaves out members that serve another release under the version's name", () => {
    const digests = { B: "a".repeat(64) };
    const members = [
      member("h1", "B"),
      member("h2", "B", { sha256: "b".repeat(64) }),
      member("h3", "B", { sha256: null }),
    ];
    const table = makeTable(source({ routes: routes({ digests }), members }));
    assert.deepEqual(
      table.versions[1]?.endpoints.map(({ id }) => id),
      ["prod.h1.a"],
    );
  });

  it("keeps the stage of each endpoint, and sends requests to every stage", () => {
    const members = [member("h1", "B"), member("h2", "B", { id: "canary.h2.a", stage: "canary" })];
    assert.deepEqual(
      makeTable(source({ members })).versions[1]?.endpoints.map(({ id, stage }) => [id, stage]),
      [
        ["canary.h2.a", "canary"],
        ["prod.h1.a", "prod"],
      ],
    );
  });

  it("falls back on the other version that has endpoints", () => {
    const serving = ["Z", "A", "B"];
    assert.equal(makeTable(source({ routes: routes({ serving }), fallback: "previous" })).fallback, "A");
    assert.equal(makeTable(source({ routes: routes({ serving: ["B"] }), fallback: "previous" })).fallback, null);
  });

  it("does not depend on the order of the members", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...source().members], { minLength: 4 }), (members) => {
        assert.deepEqual(makeTable(source({ members })), makeTable(source()));
      }),
    );
  });

  it("routes like one with other revisions, and unlike one with another weight", () => {
    const table = makeTable(source());
    assert(routesAlike(table, makeTable(source({ routesRevision: 70, serversetsRevision: 80 }))));
    const heavier = source().members.map((one) => ({ ...one, weight: one.weight + 1 }));
    assert(!routesAlike(table, makeTable(source({ members: heavier }))));
    const later = atRevision(table, 90);
    assert.deepEqual(later, { ...table, serversetsRevision: 90 });
    assert(routesAlike(later, table));
  });
});
