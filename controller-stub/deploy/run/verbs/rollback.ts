import { rolledBackDeploy } from "../../decisions/rolled-back-deploy.ts";
import { type DeployContext, deployOf, inDeploy, knowledgeOf } from "../deploy-context.ts";
import type { FleetView } from "../fleet-view.ts";
import { deployResult, type RunResult } from "../run-result.ts";
import { runDeploy } from "../steps/run-deploy.ts";

/** Undoes the last deploy, or continues a rollback that stopped. */
export async function rollBackDeploy(
  context: DeployContext,
  { routes }: FleetView,
  options: { excludeAbsent?: boolean; withoutEdge?: string[] },
): Promise<RunResult> {
  const { service, lock, report, events, by } = context;
  const known = knowledgeOf(context);
  await lock.write(inDeploy((deploy) => rolledBackDeploy(deploy, known, routes?.serving ?? [], options)));
  const { version, rollback } = deployOf(context);
  const how = rollback === "switch" ? "the default is switched back" : "hosts get back what it replaced";
  const facts = { kind: "rollback", service, version, rollback, epoch: lock.epoch };
  report.say(`rolling back ${service} ${version}: ${how}, epoch ${lock.epoch}`, facts);
  events.send(`the rollback of ${version} began: ${how}`, { version, facts: { by } });
  return deployResult(context, await runDeploy(context));
}
