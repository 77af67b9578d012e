import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addWaveOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { underLock } from "../deploy/run/under-lock.ts";
import { type ConvergeOptions, convergeHosts } from "../deploy/run/verbs/converge.ts";

export function addConverge(program: Command, context: Context): void {
  const command = program
    .command("converge")
    .summary("install the served versions on hosts that lack them")
    .description(
      "Installs the versions that the routes serve on hosts that lack them, such as " +
        "hosts that were added or replaced.",
    )
    .addArgument(serviceArgument());
  addWaveOptions(command)
    .option("--exclude-absent", "give hosts that do not report their orders, but do not wait for them")
    .addHelpText("after", "\nExample:\n  slotd-controller converge web --only 'h7*'")
    .action((service: string, options: ConvergeOptions, self: Command) =>
      underLock(context, self, { verb: "converge", service, options }, (deployContext, view) =>
        convergeHosts(deployContext, view, options),
      ),
    );
}
