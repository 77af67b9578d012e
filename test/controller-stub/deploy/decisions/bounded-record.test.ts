import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { boundedRecord } from "../../../../controller-stub/deploy/decisions/bounded-record.ts";
import { type Deploy, deploySchema } from "../../../../protocol/deploy.ts";

import { running } from "../running-deploy.ts";

describe("a bounded record", () => {
  it("fits 5,000 failed hosts into one message, and can be read", () => {
    const error = { code: "NOT_READY", message: "x".repeat(512) };
    const names = Array.from({ length: 5000 }, (_, at) => `web-${String(at).padStart(5, "0")}.eu-central.example.com`);
    const hosts = Object.fromEntries(
      names.map((name) => [name, { step: "failed" as const, slot: "a", wave: 99, was: "1.4.1+build.77", error }]),
    );
    const record: Deploy = { service: "web", epoch: 1, lock: null, deploy: running({ hosts }), revisions: [] };
    const text = JSON.stringify(boundedRecord(record));
    assert.ok(text.length < 1024 * 1024, `${text.length} bytes`);
    assert.equal(Object.keys(deploySchema.parse(JSON.parse(text)).deploy?.hosts ?? {}).length, 5000);
  });
});
