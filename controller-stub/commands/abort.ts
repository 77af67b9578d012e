import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addRunOptions, type RunOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { deployOf, inDeploy } from "../deploy/run/deploy-context.ts";
import { deployResult } from "../deploy/run/deploy-result.ts";
import { endedNow } from "../deploy/run/steps/run-deploy.ts";
import { underLock } from "../deploy/run/under-lock.ts";

export function addAbort(program: Command, context: Context): void {
  const command = program
    .command("abort")
    .summary("give a deploy up, and leave everything as it is")
    .description(
      "Gives a deploy up that halted, or whose controller died. Hosts keep what they hold and the routes what they say; the next deploy\n" +
        "begins from there.",
    )
    .addArgument(serviceArgument());
  addRunOptions(command)
    .addHelpText("after", "\nExample:\n  slotd-controller abort web")
    .action((service: string, options: RunOptions, self: Command) =>
      underLock(context, self, { verb: "abort", service, options, takesOver: true }, async (work) => {
        const { version, step } = deployOf(work);
        work.report.event(`the deploy of ${version} was aborted in step ${step}`, { version, facts: { by: work.by } });
        return deployResult(
          work,
          inDeploy((deploy) => ({ ...deploy, ...endedNow(), step: "aborted" })),
        );
      }),
    );
}
