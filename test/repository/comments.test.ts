import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sources } from "./sources.ts";

const COLUMNS = 120;

describe("comments", () => {
  it(`are at most ${COLUMNS} columns wide`, () => {
    const comment = /^\s*(\/\/|\/?\*)/;
    const wide = sources(
      "protocol",
      "daemon",
      "bus",
      "agent",
      "controller-stub",
      "edge",
      "test",
      "scripts",
      "examples",
    ).flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, i) => (comment.test(line) && line.length > COLUMNS ? [`${path}:${i + 1}`] : [])),
    );
    assert.deepEqual(wide, []);
  });
});
