import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { decode, maxDeployChars } from "../../protocol/decode.ts";

const schema = z.strictObject({ slot: z.strictObject({ port: z.int().max(65_535, "must be a port") }) });

describe("decoding a value that somebody else wrote", () => {
  it("gives what the schema makes of it", () => {
    assert.deepEqual(decode(schema, '{"slot":{"port":81}}'), { value: { slot: { port: 81 } } });
  });

  it("names the path and the rule", () => {
    assert.deepEqual(decode(schema, '{"slot":{"port":99999}}'), { broken: "slot.port: must be a port" });
    assert.match(JSON.stringify(decode(schema, "null")), /"value: /);
  });

  it("says that it must be JSON, and of a bounded length", () => {
    assert.deepEqual(decode(schema, "{"), { broken: "must be JSON" });
    const long = JSON.stringify("x".repeat(256 * 1024));
    assert.deepEqual(decode(z.string(), long), { broken: "must be at most 262144 characters long" });
    assert("value" in decode(z.string(), long, maxDeployChars));
  });

  it("keeps what it says short, however long a name in it is", () => {
    const result = decode(schema, JSON.stringify({ ["x".repeat(5_000)]: 1 }));
    assert("broken" in result && result.broken.length <= 300);
  });
});
