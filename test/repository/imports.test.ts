import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { sources } from "./sources.ts";

/** What each folder may import of ours, beside itself. */
const allowed: Record<string, string[]> = {
  protocol: [],
  daemon: ["protocol"],
  agent: ["protocol", "daemon"],
  "controller-stub": ["protocol"],
  edge: ["protocol", "daemon"],
};

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g;

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map(([, name]) => name as string);
}

describe("imports between the parts", () => {
  for (const [folder, others] of Object.entries(allowed)) {
    it(`go from ${folder} to ${others.join(", ") || "nothing of ours"} only`, () => {
      for (const { path, text } of sources(folder)) {
        for (const name of importsOf(text).filter((imported) => imported.startsWith("."))) {
          const target = normalize(join(dirname(path), name));
          const [top = ""] = target.split("/");
          assert(top === folder || others.includes(top), `${path} imports ${target}`);
        }
      }
    });
  }

  it("name the file with its ending, and Node's own modules with node:", () => {
    const bare =
      /^(assert|buffer|child_process|crypto|events|fs|http|https|net|os|path|stream|timers|url|util|worker_threads)(\/|$)/;
    for (const { path, text } of sources(
      "protocol",
      "daemon",
      "agent",
      "controller-stub",
      "edge",
      "test",
      "scripts",
      "examples",
    )) {
      for (const name of importsOf(text)) {
        if (name.startsWith(".")) assert.match(name, /\.(ts|json)$/, `${path} imports ${name}`);
        assert(!bare.test(name), `${path} imports ${name}`);
      }
    }
  });
});
