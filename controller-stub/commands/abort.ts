import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addRunOptions, type RunOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { underLock } from "../deploy/run/under-lock.ts";
import { abortDeploy } from "../deploy/run/verbs/abort.ts";

export function addAbort(program: Command, context: Context): void {
  const command = program
    .command("abort")
    .summary("abandon a deploy, and leave everything as it is")
    .description(
      "Abandons a deploy that halted, or whose controller died. Hosts keep their " +
        "versions and the routes stay. The next deploy starts from there.",
    )
    .addArgument(serviceArgument());
  addRunOptions(command)
    .addHelpText("after", "\nExample:\n  slotd-controller abort web")
    .action((service: string, options: RunOptions, self: Command) =>
      underLock(context, self, { verb: "abort", service, options, takesOver: true }, abortDeploy),
    );
}
