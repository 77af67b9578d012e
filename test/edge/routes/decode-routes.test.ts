import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { assertSupported, decodeRoutes, type RoutesSupport } from "../../../edge/routes/decode-routes.ts";
import { RoutesBook } from "../../../edge/routes/routes-book.ts";
import { SlotdError } from "../../../protocol/errors.ts";
import { type Routes, routesSchema } from "../../../protocol/routes.ts";
import { mutated } from "../../support/arbitrary.ts";

const routes = (over: Partial<Routes> = {}): Routes => ({
  ...{ epoch: 4, revision: 9, mode: "atomic", default: "B", serving: ["A", "B"] },
  ...over,
});
const text = (over: Partial<Routes> = {}) => JSON.stringify(routes(over));

const support: RoutesSupport = { modes: ["atomic"], stages: false };

describe("decoding routes", () => {
  it("accepts valid routes, and refuses all others with a code", () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      mutated(fc.constant(routes())).map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(texts, fc.nat(8), (any, epoch) => {
        let decoded: Routes;
        try {
          decoded = decodeRoutes(any, epoch);
          assertSupported(decoded, support);
        } catch (error) {
          assert(error instanceof SlotdError && error.code.startsWith("ROUTES_"), String(error));
          return;
        }
        assert(routesSchema.safeParse(decoded).success && decoded.epoch >= epoch && decoded.mode === "atomic");
      }),
      { numRuns: 1_000 },
    );
  });
});

const served = (book: RoutesBook) =>
  book.settle(
    () => true,
    () => "",
  );
const unserved = (book: RoutesBook, ignored = "") =>
  book.settle(
    () => false,
    () => ignored,
  );

describe("the book of routes", () => {
  it("keeps the last good ones, and says why newer ones are not used", () => {
    const book = new RoutesBook("web", support);
    book.begin("bucket");
    assert.equal(book.recordRoutes(5, text()), true);
    served(book);
    for (const [revision, other, code] of [
      [6, text({ epoch: 3 }), "ROUTES_STALE"],
      [7, "{}", "ROUTES_MALFORMED"],
      [8, null, "ROUTES_GONE"],
      [9, text({ epoch: 5, mode: "rolling" }), "ROUTES_UNSUPPORTED"],
      [10, text({ epoch: 5, stages: { prod: 100 } }), "ROUTES_UNSUPPORTED"],
    ] as const) {
      assert.equal(book.recordRoutes(revision, other), true);
      assert.deepEqual([book.revision, book.routes?.epoch, book.problem?.code], [5, 4, code]);
    }
    assert.equal(book.recordRoutes(11, text({ epoch: 5 })), true);
    assert.deepEqual([book.revision, book.problem], [11, null]);
  });

  it("does not acknowledge a revision of a deleted bucket", () => {
    const book = new RoutesBook("web", support);
    book.begin("bucket");
    book.recordRoutes(50, text());
    served(book);
    book.begin("another");
    assert.deepEqual([book.revision, book.routes?.default], [0, "B"]);
    book.recordRoutes(1, text());
    assert.deepEqual([book.revision, book.problem], [1, null]);
  });

  it("is restored after a restart, with its revision only for the same bucket", () => {
    const book = new RoutesBook("web", support);
    book.begin("bucket");
    book.recordRoutes(5, text());
    served(book);
    for (const [bucket, revision] of [
      ["bucket", 5],
      ["another", 0],
    ] as const) {
      const next = new RoutesBook("web", support);
      next.restore(book.snapshot() as NonNullable<ReturnType<RoutesBook["snapshot"]>>);
      next.begin(bucket);
      assert.deepEqual([next.revision, next.routes?.default], [revision, "B"]);
    }
  });

  it("keeps routes in force that an older edge used, but neither acknowledges nor hides what it ignores of them", () => {
    const older = text({ mode: "rolling" });
    const book = new RoutesBook("web", support);
    book.restore({ bucketId: "bucket", text: older, revision: 5 });
    const now = () => [book.revision, book.routes?.default, book.problem?.code];
    assert.deepEqual(now(), [0, "B", "ROUTES_UNSUPPORTED"]);
    book.begin("bucket");
    book.recordRoutes(5, older);
    assert.deepEqual(now(), [0, "B", "ROUTES_UNSUPPORTED"]);
    book.recordRoutes(6, text());
    assert.deepEqual(now(), [6, "B", undefined]);
  });

  it("waits with another default until somebody serves it, and says what is ignored", () => {
    const book = new RoutesBook("web", support);
    const now = () => [book.revision, book.routes?.default, book.problem?.code];
    book.recordRoutes(5, text());
    unserved(book);
    assert.deepEqual(now(), [0, undefined, "ROUTES_UNSERVED"], "the first routes");
    assert.match(book.problem?.message ?? "", /no endpoint of their default B; .*; no host has registered B$/);
    served(book);
    assert.deepEqual(now(), [5, "B", undefined]);
    book.recordRoutes(6, text({ epoch: 5, default: "A" }));
    unserved(book, "it ignores 1 member web.prod.h1.a: some rule");
    assert.deepEqual(now(), [5, "B", "ROUTES_UNSERVED"]);
    assert.match(book.problem?.message ?? "", /; it ignores 1 member web\.prod\.h1\.a: some rule$/);
    assert.equal(book.snapshot()?.revision, 5, "only what is in force is written to disk");
    book.recordRoutes(7, text({ epoch: 4 }));
    assert.equal(book.problem?.code, "ROUTES_STALE", "a controller that was overtaken");
    book.recordRoutes(8, text({ epoch: 6 }));
    assert.deepEqual(now(), [8, "B", undefined], "back to the default that is in force");
    served(book);
    assert.deepEqual(now(), [8, "B", undefined]);
  });

  it("takes other versions beside the same default at once, also while nobody serves that", () => {
    const book = new RoutesBook("web", support);
    book.recordRoutes(5, text());
    served(book);
    book.recordRoutes(6, text({ serving: ["B", "C"] }));
    unserved(book);
    assert.deepEqual([book.revision, book.routes?.serving, book.problem], [6, ["B", "C"], null]);
  });

  it("tells a bus that lost its routes from one that never had any", () => {
    const book = new RoutesBook("web", support);
    book.begin("bucket");
    assert.deepEqual([book.recordAbsence(), book.problem?.code], [true, "NO_ROUTES"]);
    assert.equal(book.recordAbsence(), false);
    book.recordRoutes(5, text());
    served(book);
    book.begin("another");
    assert.deepEqual([book.recordAbsence(), book.problem?.code], [true, "ROUTES_GONE"]);
    assert.deepEqual([book.revision, book.routes?.default], [0, "B"]);
    book.recordRoutes(1, text({ epoch: 5 }));
    assert.deepEqual([book.revision, book.problem], [1, null]);
  });
});
