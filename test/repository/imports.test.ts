import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { importsOf, sources } from "./sources.ts";

/** What each folder may import of ours, beside itself. */
const allowed: Record<string, string[]> = {
  protocol: [],
  daemon: ["protocol"],
  bus: ["protocol", "daemon"],
  agent: ["protocol", "daemon", "bus"],
  "controller-stub": ["protocol", "bus"],
  edge: ["protocol", "daemon", "bus"],
};

/** Who may speak NATS beside `bus/`: two object stores, whose chunks and metadata nobody else touches. */
const nats = ["agent/releases/fetch/object-source.ts", "controller-stub/publish/targets/nats.ts"];

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

  it("leave NATS to bus/, and to the object stores", () => {
    const importers = sources("protocol", "daemon", "agent", "controller-stub", "edge")
      .filter(({ text }) => importsOf(text).some((name) => name.startsWith("@nats-io/")))
      .map(({ path }) => path);
    assert.deepEqual(importers.toSorted(), nats);
  });

  it("leave the subjects behind buckets to the protocol", () => {
    for (const { path, text } of sources("bus", "daemon", "agent", "controller-stub", "edge"))
      assert(!text.includes("$KV."), `${path} spells a subject; protocol/subjects.ts has them`);
  });

  it("name the file with its ending, and Node's own modules with node:", () => {
    const bare =
      /^(assert|buffer|child_process|crypto|events|fs|http|https|net|os|path|stream|timers|url|util|worker_threads)(\/|$)/;
    for (const { path, text } of sources(
      "protocol",
      "daemon",
      "bus",
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
