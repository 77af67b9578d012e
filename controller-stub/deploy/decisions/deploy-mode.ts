import type { DeployStep, RunningDeploy } from "../../../protocol/deploy.ts";

/**
 * The rows of a mode's table. They are the steps of the record, except that `restoring` has two rows: a rollback either
 * brings back what the deploy replaced, or switches the default back. The record's `rollback` says which.
 */
export type StepRow = DeployStep | "switchingBack";

/**
 * How `rollback` undoes a deploy. `restore`: hosts get back what was replaced. `switch`: the default is switched back.
 * `continue`: a rollback that stopped is continued. Otherwise it is refused, for this reason.
 */
export type RollbackWay = "restore" | "switch" | "continue" | { refused: string };

/**
 * What `resume` does about hosts that failed. `retry`: they are tried again in this step. `reinstall`: the deploy
 * returns to the mode's step `install` for them. `keep`: they stay as they are and count as failures, since users may
 * be on the new version.
 */
export type FailedHosts = "retry" | "reinstall" | "keep";

export interface PlanFacts {
  waves: number;
  hosts: number;
  /** The edges that have to acknowledge. */
  edges: readonly string[];
}

/** What `--dry-run` shows of a step. */
export interface PlannedStep {
  routes?: { default: string; serving: readonly string[] };
  edges?: readonly string[];
  waves?: number;
  hosts?: number;
}

/** Everything about a step except its effects. */
export interface StepRule {
  /** The step after this one; null where the deploy ends. */
  next: DeployStep | null;
  /** `prepare` stops here, until `promote`. */
  pauses?: true;
  rollback: RollbackWay;
  failedHosts: FailedHosts;
  /** What happens in the step, for people. */
  describe(deploy: RunningDeploy): string;
  /** What `--dry-run` shows; null where the step has nothing to do. Without it the step isn't shown. */
  plan?(deploy: RunningDeploy, facts: PlanFacts): PlannedStep | null;
  /**
   * The sentence that a run ends with when it stops in this step.
   * @param hosts how many hosts have the version, such as "on 3 hosts (1 failed)"
   */
  conclude?(deploy: RunningDeploy, service: string, hosts: string): string;
}

/** A way to deploy: its steps, and the step that each verb puts a deploy into. */
export interface DeployMode {
  start: DeployStep;
  install: DeployStep;
  promote: DeployStep;
  rollback: DeployStep;
  abort: DeployStep;
  steps: Readonly<Partial<Record<StepRow, StepRule>>>;
}
