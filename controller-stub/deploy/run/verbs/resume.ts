import { type ResumeRequest, resumedDeploy } from "../../decisions/resumed-deploy.ts";
import { isEnded } from "../../decisions/steps.ts";
import { type DeployContext, deployOf, inDeploy, knowledgeOf } from "../deploy-context.ts";
import { deployResult, type RunResult } from "../run-result.ts";
import { runDeploy } from "../steps/run-deploy.ts";

/** Continues the recorded deploy or rollback in the step that it is in. */
export async function resumeDeploy(context: DeployContext, request: ResumeRequest): Promise<RunResult> {
  const { service, lock, report, events, by } = context;
  if (lock.deploy.deploy === null || isEnded(lock.deploy.deploy))
    return { outcome: "done", text: `nothing of ${service} was left to do; the lock that was left behind is free` };
  const known = knowledgeOf(context);
  await lock.write(inDeploy((deploy) => resumedDeploy(deploy, known, request)));
  const { step, version } = deployOf(context);
  const facts = { kind: "resumed", service, version, step, epoch: lock.epoch };
  report.say(`resuming ${service} ${version} in step ${step}, epoch ${lock.epoch}`, facts);
  events.send(`the deploy of ${version} was resumed in step ${step}`, { version, facts: { by } });
  return deployResult(context, await runDeploy(context));
}
