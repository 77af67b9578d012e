import type { Command } from "commander";
import type { RunningDeploy } from "../../protocol/deploy.ts";
import type { Context } from "../context.ts";
import { isSwitched } from "../deploy/decisions/steps.ts";
import { DeployStateError } from "../deploy/deploy-errors.ts";
import { addRunOptions, type RunOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { type DeployContext, deployOf, inDeploy } from "../deploy/run/deploy-context.ts";
import { deployResult } from "../deploy/run/deploy-result.ts";
import { knowledge, resumeHosts, touchedHosts } from "../deploy/decisions/resume-hosts.ts";
import { runDeploy } from "../deploy/run/steps/run-deploy.ts";
import { type FleetView, underLock } from "../deploy/run/under-lock.ts";

interface RollbackOptions extends RunOptions {
  excludeAbsent?: boolean;
}

export function addRollback(program: Command, context: Context): void {
  const command = program
    .command("rollback")
    .summary("take the last deploy back")
    .description(
      "Takes the last deploy back. After the switch, the default goes back to the version before, whose processes never stopped. Before it,\n" +
        "hosts get back what the deploy replaced, and the routes become what they were.",
    )
    .addArgument(serviceArgument());
  addRunOptions(command)
    .option("--exclude-absent", "do not wait for hosts that do not report")
    .addHelpText("after", "\nExample:\n  slotd-controller rollback web")
    .action((service: string, options: RollbackOptions, self: Command) =>
      underLock(context, self, { verb: "rollback", service, options, takesOver: true }, async (work, view) => {
        await work.lock.write(inDeploy((deploy) => turnedBack(work, view, deploy, options)));
        const { version, rollback } = deployOf(work);
        const how = rollback === "switch" ? "the default is switched back" : "what it replaced is brought back";
        work.report.say(`rolling back ${service} ${version}: ${how}, epoch ${work.lock.epoch}`, {
          ...{ kind: "rollback", service, version, rollback, epoch: work.lock.epoch },
        });
        work.report.event(`the rollback of ${version} began: ${how}`, { version, facts: { by: work.by } });
        return deployResult(work, await runDeploy(work));
      }),
    );
}

function turnedBack(
  work: DeployContext,
  { routes }: FleetView,
  deploy: RunningDeploy,
  options: RollbackOptions,
): RunningDeploy {
  const { excludeAbsent = false, withoutEdge = [] } = options;
  const known = knowledge(work);
  const common = {
    ...{ ...deploy, step: "restoring" as const, halted: null, endedAt: null },
    plan: { ...deploy.plan, withoutEdges: [...new Set([...deploy.plan.withoutEdges, ...withoutEdge])] },
  };
  // A rollback that was cut short goes on.
  if (deploy.step === "restoring") return { ...common, hosts: resumeHosts(deploy, known, { excludeAbsent }) };
  if (!isSwitched(deploy))
    return { ...common, rollback: "restore", hosts: touchedHosts(deploy, known, { excludeAbsent }) };
  const { default: before } = deploy.from;
  if (before === null || !routes?.serving.includes(before))
    throw new DeployStateError("NOTHING_TO_ROLL_BACK", `${before} is no more served: deploy it again`);
  return { ...common, rollback: "switch" };
}
