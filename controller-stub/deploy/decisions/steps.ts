import type { DeployStep, RunningDeploy } from "../../../protocol/deploy.ts";
import { InternalError } from "../../../protocol/errors.ts";
import { atomicMode } from "./atomic-mode.ts";
import type { DeployMode, PlanFacts, PlannedStep, StepRow, StepRule } from "./deploy-mode.ts";

type Recorded = Pick<RunningDeploy, "step" | "rollback">;

/** The mode of a recorded deploy. Records don't name one: every deploy is atomic so far. */
export function modeOf(_deploy: Recorded): DeployMode {
  return atomicMode;
}

/** The row of its mode's table that a deploy is in. */
export function stepRow({ step, rollback }: Recorded): StepRow {
  return step === "restoring" && rollback === "switch" ? "switchingBack" : step;
}

/** @throws InternalError where the mode has no such step */
export function ruleOf(deploy: Recorded): StepRule {
  const row = stepRow(deploy);
  const rule = modeOf(deploy).steps[row];
  if (rule === undefined) throw new InternalError(`no step ${row} in this deploy's mode`);
  return rule;
}

/** The step after the one that a deploy is in; null where the deploy stops. */
export function nextStep(deploy: Recorded & Pick<RunningDeploy, "goal">): DeployStep | null {
  const { next, pauses } = ruleOf(deploy);
  return pauses && deploy.goal === "prepare" ? null : next;
}

/** Whether nothing is left to do, to take back or to decide. */
export function isEnded(deploy: Recorded): boolean {
  return ruleOf(deploy).next === null;
}

/** The steps that a new deploy will take, for `--dry-run`. */
export function plannedSteps(deploy: RunningDeploy, facts: PlanFacts): ({ step: string } & PlannedStep)[] {
  const planned: ({ step: string } & PlannedStep)[] = [];
  for (let step: DeployStep | null = deploy.step; step !== null; ) {
    const here: RunningDeploy = { ...deploy, step };
    const shown = ruleOf(here).plan?.(here, facts);
    if (shown) planned.push({ step, ...shown });
    step = nextStep(here);
  }
  return planned;
}
