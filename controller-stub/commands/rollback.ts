import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addRunOptions, type RunOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { underLock } from "../deploy/run/under-lock.ts";
import { rollBackDeploy } from "../deploy/run/verbs/rollback.ts";

interface RollbackOptions extends RunOptions {
  excludeAbsent?: boolean;
}

export function addRollback(program: Command, context: Context): void {
  const command = program
    .command("rollback")
    .summary("undo the last deploy")
    .description(
      "Undoes the last deploy. After the switch, the default goes back to the version " +
        "before, whose processes never stopped. Before the switch, hosts get back what " +
        "the deploy replaced, and the routes become what they were.",
    )
    .addArgument(serviceArgument());
  addRunOptions(command)
    .option("--exclude-absent", "do not wait for hosts that do not report")
    .addHelpText("after", "\nExample:\n  slotd-controller rollback web")
    .action((service: string, options: RollbackOptions, self: Command) =>
      underLock(context, self, { verb: "rollback", service, options, takesOver: true }, (deployContext, view) =>
        rollBackDeploy(deployContext, view, options),
      ),
    );
}
