import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isEnded, nextStep } from "../../../../controller-stub/deploy/decisions/steps.ts";
import { deploySteps } from "../../../../protocol/deploy.ts";

import { running } from "../running-deploy.ts";

describe("the steps of a deploy", () => {
  it("every step leads to an end, and prepare stops before the switch", () => {
    for (const step of deploySteps) {
      let at = running({ step });
      for (let moves = 0; !isEnded(at); moves++) {
        assert.ok(moves < deploySteps.length);
        at = { ...at, step: nextStep(at) as (typeof deploySteps)[number] };
      }
    }
    assert.equal(nextStep(running({ step: "prepared", goal: "prepare" })), null);
  });
});
