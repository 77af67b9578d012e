import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { OrderMalformedError } from "../../protocol/errors.ts";
import { orderVersion, parseOrder } from "../../protocol/order.ts";
import { installs, mutated, orders } from "../support/arbitrary.ts";

const install = {
  id: "o-1",
  epoch: 7,
  action: "install",
  release: { version: "1.2.3", url: "file:///srv/r.tgz", sha256: "a".repeat(64), sizeBytes: 10 },
  issuedBy: "anna",
  issuedAt: "2026-01-02T03:04:05.678Z",
};
const { release, ...rest } = install;
const uninstall = { ...rest, action: "uninstall", version: "1.2.3" };

/** What is wrong with an order → the field that has to be named, and the order. */
const malformed: Record<string, [field: string, order: unknown]> = {
  "is a list": ["(the whole order)", []],
  "is null": ["(the whole order)", null],
  "has no id": ["id", { ...install, id: undefined }],
  "has an id with a space": ["id", { ...install, id: "o 1" }],
  "has an id that is too long": ["id", { ...install, id: "x".repeat(129) }],
  "has no action": ["action", { ...install, action: undefined }],
  "has another action": ["action", { ...install, action: "upgrade" }],
  "has no epoch": ["epoch", { ...install, epoch: undefined }],
  "has an epoch as text": ["epoch", { ...install, epoch: "7" }],
  "has a negative epoch": ["epoch", { ...install, epoch: -1 }],
  "has an epoch past what a number can hold": ["epoch", { ...install, epoch: 2 ** 60 }],
  "has a moment that is none": ["issuedAt", { ...install, issuedAt: "yesterday" }],
  "is issued by nobody": ["issuedBy", { ...install, issuedBy: "" }],
  "has an unknown field": ["colour", { ...install, colour: "red" }],
  "has an unknown field in its release": ["release.colour", { ...install, release: { ...release, colour: "red" } }],
  "has a field of the other action": ["drainTimeoutMs", { ...install, drainTimeoutMs: 1 }],
  "has no release": ["release", rest && { ...rest, action: "install" }],
  "has a version with two dots": ["release.version", { ...install, release: { ...release, version: "1..2" } }],
  "has a version that is a way up": ["release.version", { ...install, release: { ...release, version: ".." } }],
  "has a version with a slash": ["release.version", { ...install, release: { ...release, version: "a/b" } }],
  "has a version with a line's end": ["release.version", { ...install, release: { ...release, version: "1\n" } }],
  "has an address of no known kind": ["release.url", { ...install, release: { ...release, url: "ftp://h/r" } }],
  "has an address that is none": ["release.url", { ...install, release: { ...release, url: "r.tgz" } }],
  "has a file on another host": ["release.url", { ...install, release: { ...release, url: "file://h/r" } }],
  "has a digest in capitals": ["release.sha256", { ...install, release: { ...release, sha256: "A".repeat(64) } }],
  "has a size of none": ["release.sizeBytes", { ...install, release: { ...release, sizeBytes: 0 } }],
  "has no workers": ["workers", { ...install, workers: 0 }],
  "uninstalls with force and no reason": ["reason", { ...uninstall, force: true }],
  "uninstalls a version with two dots": ["version", { ...uninstall, version: "1..2" }],
  "drains for ever": ["drainTimeoutMs", { ...uninstall, drainTimeoutMs: 1e12 }],
};

describe("reading an order", () => {
  for (const [what, [field, order]] of Object.entries(malformed)) {
    it(`refuses one that ${what}, naming ${field}`, () => {
      assert.throws(
        () => parseOrder(JSON.stringify(order)),
        (error: unknown) =>
          error instanceof OrderMalformedError &&
          error.field === field &&
          error.message.startsWith(`order refused: ${field} `) &&
          error.message.length > `order refused: ${field} `.length,
      );
    });
  }

  it("refuses what is not JSON", () => {
    for (const text of ["", "{", "install 1.2.3", '{"id": 1', "\u0000"]) {
      assert.throws(() => parseOrder(text), { code: "ORDER_MALFORMED", field: "(the whole order)" });
    }
  });

  it("takes an uninstall with force and a reason", () => {
    const order = parseOrder(JSON.stringify({ ...uninstall, force: true, reason: "it leaks" }));
    assert.equal(orderVersion(order), "1.2.3");
  });

  it("gives back every good order as it was sent", () => {
    fc.assert(fc.property(orders, (order) => assert.deepEqual(parseOrder(JSON.stringify(order)), order)));
  });

  it("never throws anything else, whatever is sent", () => {
    const anything = fc.oneof(
      fc.string(),
      fc.json(),
      mutated(orders).map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(anything, (text) => {
        try {
          parseOrder(text);
        } catch (error) {
          assert(error instanceof OrderMalformedError, String(error));
          assert(error.field && error.field.length <= 128, "the field is named, in bounds");
          assert(error.message.length <= 1_000);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps its answer small, whatever the size of what is refused", () => {
    const name = "x".repeat(500_000);
    for (const order of [
      { ...install, [name]: 1 },
      { ...install, id: name },
      { ...install, action: name },
    ]) {
      assert(wireSizeOfRefusal(JSON.stringify(order)) < 2_000);
    }
  });

  it("says which order it was, where that can be told", () => {
    const text = JSON.stringify({ ...install, epoch: "7" });
    assert.throws(() => parseOrder(text), { orderId: "o-1" });
  });

  it("is not fooled by a field named __proto__", () => {
    const text = JSON.stringify(install).replace("{", '{"__proto__":{"epoch":1},');
    assert.throws(() => parseOrder(text), { code: "ORDER_MALFORMED" });
    fc.assert(fc.property(installs, (order) => !Object.hasOwn(parseOrder(JSON.stringify(order)), "__proto__")));
  });
});

function wireSizeOfRefusal(text: string): number {
  try {
    parseOrder(text);
  } catch (error) {
    return JSON.stringify((error as OrderMalformedError).toWire()).length;
  }
  throw new Error("the order was taken");
}
