import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgeVerb } from "../../../../controller-stub/deploy/decisions/judge-verb.ts";
import { deploySteps } from "../../../../protocol/deploy.ts";

import { running } from "../running-deploy.ts";

describe("judgeVerb", () => {
  it("allows and refuses verbs by the step of the recorded deploy", () => {
    const allowed = Object.fromEntries(
      deploySteps.map((step) => {
        const verbs = (["deploy", "promote", "resume", "abort", "rollback", "converge"] as const).filter(
          (verb) => judgeVerb(verb, "web", running({ step })) === null,
        );
        return [step, verbs.join(" ")];
      }),
    );
    const underWay = "resume abort rollback";
    assert.deepEqual(allowed, {
      ...{ withdrawing: underWay, draining: underWay, installing: underWay, offering: underWay, waiting: underWay },
      ...{ prepared: "promote resume abort rollback", promoting: underWay, restoring: underWay },
      ...{ done: "deploy rollback converge", rolledBack: "deploy converge", aborted: "deploy converge" },
    });
  });
});
