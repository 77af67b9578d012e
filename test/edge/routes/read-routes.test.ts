import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readRoutes } from "../../../edge/routes/read-routes.ts";
import { RoutesBook } from "../../../edge/routes/routes-book.ts";
import { type Routes, routesSchema } from "../../../protocol/routes.ts";
import { mutated } from "../../support/arbitrary.ts";

const routes = (over: Partial<Routes> = {}): Routes => ({
  ...{ epoch: 4, revision: 9, mode: "atomic", default: "B", serving: ["A", "B"] },
  ...over,
});
const text = (over: Partial<Routes> = {}) => JSON.stringify(routes(over));

describe("reading routes", () => {
  it("takes good ones, says which rule others break, and never throws", () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      mutated(fc.constant(routes())).map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(texts, fc.nat(8), (any, epoch) => {
        const read = readRoutes(any, epoch);
        if ("broken" in read) assert(read.broken.length > 0);
        else if ("stale" in read) assert(read.stale < epoch);
        else assert(routesSchema.safeParse(read).success && read.epoch >= epoch);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("the book of routes", () => {
  it("keeps the last good ones, and says why others are not used", () => {
    const book = new RoutesBook();
    book.begin("bucket");
    assert.equal(book.take(0, null), false);
    assert.equal(book.take(5, text()), true);
    for (const [revision, other, code] of [
      [6, text({ epoch: 3 }), "ROUTES_STALE"],
      [7, "{}", "ROUTES_MALFORMED"],
      [8, null, "ROUTES_MALFORMED"],
    ] as const) {
      assert.equal(book.take(revision, other), true);
      assert.deepEqual([book.revision, book.routes?.epoch, book.problem?.code], [5, 4, code]);
    }
    assert.equal(book.take(9, text({ epoch: 5 })), true);
    assert.deepEqual([book.revision, book.problem], [9, null]);
  });

  it("does not acknowledge a revision of a bucket that is no more", () => {
    const book = new RoutesBook();
    book.begin("bucket");
    book.take(50, text());
    book.begin("another");
    assert.deepEqual([book.revision, book.routes?.default], [0, "B"]);
    book.take(1, text());
    assert.deepEqual([book.revision, book.problem], [1, null]);
  });

  it("goes on after a restart, with revisions only of the same bucket", () => {
    const book = new RoutesBook();
    book.begin("bucket");
    book.take(5, text());
    for (const [bucket, revision] of [
      ["bucket", 5],
      ["another", 0],
    ] as const) {
      const next = new RoutesBook();
      next.restore(book.keep() as NonNullable<ReturnType<RoutesBook["keep"]>>);
      next.begin(bucket);
      assert.deepEqual([next.revision, next.routes?.default], [revision, "B"]);
    }
  });
});
