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

describe("the book of routes", () => {
  it("keeps the last good ones, and says why newer ones are not used", () => {
    const book = new RoutesBook(support);
    book.begin("bucket");
    assert.equal(book.recordRoutes(0, null), false);
    assert.equal(book.recordRoutes(5, text()), true);
    for (const [revision, other, code] of [
      [6, text({ epoch: 3 }), "ROUTES_STALE"],
      [7, "{}", "ROUTES_MALFORMED"],
      [8, null, "ROUTES_MALFORMED"],
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
    const book = new RoutesBook(support);
    book.begin("bucket");
    book.recordRoutes(50, text());
    book.begin("another");
    assert.deepEqual([book.revision, book.routes?.default], [0, "B"]);
    book.recordRoutes(1, text());
    assert.deepEqual([book.revision, book.problem], [1, null]);
  });

  it("is restored after a restart, with its revision only for the same bucket", () => {
    const book = new RoutesBook(support);
    book.begin("bucket");
    book.recordRoutes(5, text());
    for (const [bucket, revision] of [
      ["bucket", 5],
      ["another", 0],
    ] as const) {
      const next = new RoutesBook(support);
      next.restore(book.snapshot() as NonNullable<ReturnType<RoutesBook["snapshot"]>>);
      next.begin(bucket);
      assert.deepEqual([next.revision, next.routes?.default], [revision, "B"]);
    }
  });

  it("keeps routes in force that an older edge used, but neither acknowledges nor hides what it ignores of them", () => {
    const older = text({ mode: "rolling" });
    const book = new RoutesBook(support);
    book.restore({ bucketId: "bucket", text: older, revision: 5 });
    const now = () => [book.revision, book.routes?.default, book.problem?.code];
    assert.deepEqual(now(), [0, "B", "ROUTES_UNSUPPORTED"]);
    book.begin("bucket");
    book.recordRoutes(5, older);
    assert.deepEqual(now(), [0, "B", "ROUTES_UNSUPPORTED"]);
    book.recordRoutes(6, text());
    assert.deepEqual(now(), [6, "B", undefined]);
  });
});
