import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addRunOptions, type RunOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { underLock } from "../deploy/run/under-lock.ts";
import { promoteDeploy } from "../deploy/run/verbs/promote.ts";

export function addPromote(program: Command, context: Context): void {
  const command = program
    .command("promote")
    .summary("make the prepared version the default")
    .description(
      "Makes the version that `prepare` brought to the fleet the default, once every " +
        "edge has confirmed again that it can serve it.",
    )
    .addArgument(serviceArgument());
  addRunOptions(command)
    .addHelpText("after", "\nExample:\n  slotd-controller promote web")
    .action((service: string, options: RunOptions, self: Command) =>
      underLock(context, self, { verb: "promote", service, options }, (deployContext) =>
        promoteDeploy(deployContext, options),
      ),
    );
}
