import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sources } from "./sources.ts";

const PRODUCT = ["protocol", "daemon", "bus", "agent", "controller-stub", "edge"];
const EXPORTED =
  /^export (?:default )?(?:abstract )?(?:async )?(?:function\*?|class|interface|type|const|enum|let) (\w+)/gm;

/** Names that mean the same in each of their files, or are each folder's own by design, and why. */
const exceptions: Record<string, string> = {};

describe("exported names", () => {
  it("mean one thing in the whole product", () => {
    const files = new Map<string, Set<string>>();
    for (const { path, text } of sources(...PRODUCT))
      for (const [, name = ""] of text.matchAll(EXPORTED)) files.set(name, (files.get(name) ?? new Set()).add(path));
    const twice = [...files].filter(([, paths]) => paths.size > 1);
    const unexpected = twice.filter(([name]) => !(name in exceptions));
    assert.deepEqual(
      unexpected.map(([name, paths]) => `${name}: ${[...paths].join(", ")}`),
      [],
    );
    for (const name of Object.keys(exceptions)) assert((files.get(name)?.size ?? 0) > 1, `${name} needs no exception`);
  });
});
