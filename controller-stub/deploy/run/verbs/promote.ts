import { withoutEdges } from "../../decisions/resumed-deploy.ts";
import { modeOf } from "../../decisions/steps.ts";
import { type DeployContext, inDeploy } from "../deploy-context.ts";
import { deployResult, type RunResult } from "../run-result.ts";
import { runDeploy } from "../steps/run-deploy.ts";

/**
 * Makes the prepared version the default. Hosts and edges may have changed since: the last barrier is passed once more.
 */
export async function promoteDeploy(
  context: DeployContext,
  { withoutEdge = [] }: { withoutEdge?: string[] },
): Promise<RunResult> {
  await context.lock.write(
    inDeploy((deploy) => ({
      ...withoutEdges(deploy, withoutEdge),
      ...{ step: modeOf(deploy).promote, goal: "promote", halted: null },
    })),
  );
  return deployResult(context, await runDeploy(context));
}
