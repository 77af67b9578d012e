import assert from "node:assert/strict";
import { posix } from "node:path";
import { describe, it } from "node:test";
import { sources } from "../../../repository/sources.ts";

const DECISIONS = "controller-stub/deploy/decisions/";
const IMPORT = /^(?:import|export) [^;]*?from "([^"]+)";/gm;

describe("decisions", () => {
  it("import nothing that has effects, not even through others", () => {
    const texts = new Map(sources("controller-stub", "protocol").map(({ path, text }) => [path, text]));
    const reached = new Set([...texts.keys()].filter((path) => path.startsWith(DECISIONS)));
    assert.ok(reached.size > 10);
    const packages = new Set<string>();
    for (const path of reached)
      for (const [statement, target = ""] of texts.get(path)?.matchAll(IMPORT) ?? [])
        if (target.startsWith(".")) reached.add(posix.join(posix.dirname(path), target));
        else if (!statement.startsWith("import type")) packages.add(target);
    const others = [...reached].filter((path) => !path.startsWith(DECISIONS) && !path.startsWith("protocol/")).sort();
    assert.deepEqual(others, [
      "controller-stub/deploy/deploy-errors.ts",
      "controller-stub/errors.ts",
      "controller-stub/hosts.ts",
      "controller-stub/orders/check-order.ts",
      "controller-stub/orders/outcome.ts",
    ]);
    assert.deepEqual([...packages], ["zod"]);
  });
});
