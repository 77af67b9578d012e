import type { Command } from "commander";
import type { Context } from "../context.ts";
import { isEnded } from "../deploy/decisions/steps.ts";
import { addRunOptions, type RunOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { deployOf, inDeploy } from "../deploy/run/deploy-context.ts";
import { deployResult } from "../deploy/run/deploy-result.ts";
import { knowledge } from "../deploy/decisions/resume-hosts.ts";
import { resumedDeploy } from "../deploy/decisions/resumed-deploy.ts";
import { runDeploy } from "../deploy/run/steps/run-deploy.ts";
import { underLock } from "../deploy/run/under-lock.ts";
import { wholeNumberParser } from "../options.ts";

interface ResumeOptions extends RunOptions {
  maxFailures?: number;
  excludeAbsent?: boolean;
}

export function addResume(program: Command, context: Context): void {
  const command = program
    .command("resume")
    .summary("go on with a deploy that halted, or whose controller died")
    .description(
      "Goes on with the recorded deploy or rollback at the step that it is in, on any machine. Hosts that failed are tried again. A lock\n" +
        "that somebody has is watched for its lease, and taken over if it is not renewed.",
    )
    .addArgument(serviceArgument());
  addRunOptions(command)
    .option(
      "--max-failures <n>",
      "this many hosts may fail, in place of what the deploy was begun with",
      wholeNumberParser(0),
    )
    .option("--exclude-absent", "do not wait for hosts that do not report")
    .addHelpText("after", "\nExample:\n  slotd-controller resume web --without-edge edge-3")
    .action((service: string, options: ResumeOptions, self: Command) =>
      underLock(context, self, { verb: "resume", service, options, takesOver: true }, async (work) => {
        const { deploy } = work.lock.deploy;
        if (deploy === null || isEnded(deploy))
          return {
            outcome: "done",
            text: `nothing of ${service} was left to do; the lock that was left behind is free`,
          };
        const known = knowledge(work);
        await work.lock.write(inDeploy((now) => resumedDeploy(now, known, options)));
        const { step, version } = deployOf(work);
        work.report.say(`going on with ${service} ${version} in step ${step}, epoch ${work.lock.epoch}`, {
          ...{ kind: "resumed", service, version, step, epoch: work.lock.epoch },
        });
        work.report.event(`the deploy of ${version} goes on in step ${step}`, { version, facts: { by: work.by } });
        return deployResult(work, await runDeploy(work));
      }),
    );
}
