import type { RunningDeploy } from "../../../protocol/deploy.ts";
import { DeployStateError } from "../deploy-errors.ts";
import { type Knowledge, resumeHosts, touchedHosts } from "./resume-hosts.ts";
import { withoutEdges } from "./resumed-deploy.ts";
import { modeOf, ruleOf } from "./steps.ts";

/**
 * The record of a deploy as its rollback begins, or continues.
 * @param serving the versions that the routes serve now
 * @throws DeployStateError where the version before is gone
 */
export function rolledBackDeploy(
  deploy: RunningDeploy,
  known: Knowledge,
  serving: readonly string[],
  { excludeAbsent = false, withoutEdge = [] }: { excludeAbsent?: boolean; withoutEdge?: string[] },
): RunningDeploy {
  const { rollback } = ruleOf(deploy);
  const back = { ...withoutEdges(deploy, withoutEdge), step: modeOf(deploy).rollback, halted: null, endedAt: null };
  if (rollback === "continue") return { ...back, hosts: resumeHosts(deploy, known, { excludeAbsent }) };
  if (rollback === "restore")
    return { ...back, rollback: "restore", hosts: touchedHosts(deploy, known, { excludeAbsent }) };
  const { default: before } = deploy.from;
  if (before === null || !serving.includes(before))
    throw new DeployStateError("NOTHING_TO_ROLL_BACK", `${before} is no longer served: deploy it again`);
  return { ...back, rollback: "switch" };
}
