import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { importsOf, sources } from "./sources.ts";

describe("threads", () => {
  const files = new Map(sources("agent", "bus", "daemon", "protocol").map((file) => [file.path, file]));

  /** What a file loads, directly or through others. */
  function closure(path: string, seen = new Set<string>()): Set<string> {
    const file = files.get(path);
    if (file === undefined || seen.has(path)) return seen;
    seen.add(path);
    for (const name of importsOf(file.text.replaceAll(/^import type [^;]*;/gm, ""))) {
      if (name.startsWith(".")) closure(normalize(join(dirname(path), name)), seen);
      else seen.add(name);
    }
    return seen;
  }

  const scripts = [...files.keys()].filter((path) => path.endsWith("-thread.ts") && !/(run|work)-in-/.test(path));

  it("are found", () => assert.ok(scripts.length >= 2, scripts.join(", ")));

  for (const script of scripts) {
    // A thread that ends while it loads one aborts the process.
    it(`${script} loads no native library`, () => {
      assert.ok(!closure(script).has("koffi"), `${script} leads to koffi`);
    });
  }

  it("are started in one place, and never terminated", () => {
    const starting = [...files.values()].filter(({ text }) => text.includes('from "node:worker_threads"'));
    assert.deepEqual(starting.map(({ path }) => path).sort(), [
      "agent/releases/run-in-thread.ts",
      "agent/releases/work-in-thread.ts",
    ]);
    assert.deepEqual(
      [...files.values()].filter(({ text }) => text.includes(".terminate(")).map(({ path }) => path),
      [],
    );
  });
});
