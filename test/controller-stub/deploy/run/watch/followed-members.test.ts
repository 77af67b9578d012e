import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseMember } from "../../../../../controller-stub/deploy/run/watch/followed-members.ts";
import { type Registration, toMember } from "../../../../../protocol/member.ts";

const registration: Registration = {
  ...{ service: "web", stage: "canary", host: "h1", slot: "a", version: "C", sha256: "a".repeat(64), epoch: 3 },
  ...{ address: { host: "10.1.2.3", port: 8001 }, capacity: 2, workers: 2, status: "ALIVE" },
};

describe("parseMember", () => {
  it("keeps the stage that the key names", () => {
    const known = parseMember("web.canary.h1.a", JSON.stringify(toMember(registration)));
    assert.deepEqual([known.stage, known.member?.metadata.version], ["canary", "C"]);
  });

  it("keeps the stage of a member that can't be read, and says why", () => {
    assert.deepEqual(parseMember("web.prod.h1.a", "nonsense"), {
      ...{ member: null, stage: "prod", problem: "is not JSON" },
    });
  });
});
