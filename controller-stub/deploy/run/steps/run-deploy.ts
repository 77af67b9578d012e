import type { Deploy, RunningDeploy } from "../../../../protocol/deploy.ts";
import { InternalError } from "../../../../protocol/errors.ts";
import { atomicMode } from "../../decisions/atomic-mode.ts";
import type { DeployMode } from "../../decisions/deploy-mode.ts";
import { isEnded, modeOf, nextStep, ruleOf, stepRow } from "../../decisions/steps.ts";
import { type DeployContext, endedNow, inDeploy } from "../deploy-context.ts";
import { atomicSteps } from "./atomic-steps.ts";
import { type StepEffect, StepRun } from "./step-run.ts";

/** The effects that go with each mode's table. */
const effectsOfMode = new Map<DeployMode, Readonly<Record<string, StepEffect>>>([[atomicMode, atomicSteps]]);

/**
 * Continues the recorded deploy, step by step, until it ends, pauses or fails.
 * @returns the last change of the record, which the caller writes
 */
export async function runDeploy(context: DeployContext): Promise<(record: Deploy) => Deploy> {
  const { report, lock, events } = context;
  const run = new StepRun(context);
  try {
    for (;;) {
      const { deploy } = run;
      report.beginStep(deploy.step, ruleOf(deploy).describe(deploy));
      await effectOf(deploy)(run);
      report.endStep();
      const next = nextStep(deploy);
      if (next === null) return (record) => record;
      const isEnd = isEnded({ ...deploy, step: next });
      const move = inDeploy((now) => ({ ...now, step: next, ...(isEnd && endedNow()) }));
      const text = `the deploy of ${deploy.version} reached step ${next}`;
      events.send(text, { version: deploy.version, facts: { step: next } });
      if (isEnd) return move;
      await lock.write(move);
    }
  } finally {
    run.stop();
  }
}

function effectOf(deploy: RunningDeploy): StepEffect {
  const effect = effectsOfMode.get(modeOf(deploy))?.[stepRow(deploy)];
  if (effect === undefined) throw new InternalError(`step ${stepRow(deploy)} has no effect in this deploy's mode`);
  return effect;
}
