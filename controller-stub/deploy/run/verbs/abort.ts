import { modeOf } from "../../decisions/steps.ts";
import { type DeployContext, deployOf, endedNow, inDeploy } from "../deploy-context.ts";
import { deployResult, type RunResult } from "../run-result.ts";

/** Abandons the recorded deploy, and leaves everything as it is. */
export async function abortDeploy(context: DeployContext): Promise<RunResult> {
  const { version, step } = deployOf(context);
  const text = `the deploy of ${version} was aborted in step ${step}`;
  context.events.send(text, { version, facts: { by: context.by } });
  return deployResult(
    context,
    inDeploy((deploy) => ({ ...deploy, ...endedNow(), step: modeOf(deploy).abort })),
  );
}
