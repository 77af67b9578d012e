import type { DeployStep, RunningDeploy } from "../../../protocol/deploy.ts";

/** Each step, and the one that comes after it. Null: an end. */
const AFTER: Record<DeployStep, DeployStep | null> = {
  withdrawing: "draining",
  draining: "installing",
  installing: "offering",
  offering: "waiting",
  waiting: "prepared",
  prepared: "promoting",
  promoting: "done",
  restoring: "rolledBack",
  done: null,
  rolledBack: null,
  aborted: null,
};

/** The step after the one that a deploy is in; null where it does not go on by itself. */
export function nextStep({ step, goal }: Pick<RunningDeploy, "step" | "goal">): DeployStep | null {
  return step === "prepared" && goal === "prepare" ? null : AFTER[step];
}

/** Whether nothing is left to do, to take back or to decide. */
export function isEnded({ step }: Pick<RunningDeploy, "step">): boolean {
  return AFTER[step] === null;
}

/** Whether edges may have the new version as the default: then going back is switching back. */
export function isSwitched({ step }: Pick<RunningDeploy, "step">): boolean {
  return step === "promoting" || step === "done";
}
