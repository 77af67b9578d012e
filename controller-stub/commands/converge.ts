import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addWaveOptions, serviceArgument, type WaveOptions } from "../deploy/deploy-options.ts";
import { convergeHosts } from "../deploy/run/verbs/converge.ts";
import { underLock } from "../deploy/run/under-lock.ts";

export function addConverge(program: Command, context: Context): void {
  const command = program
    .command("converge")
    .summary("bring hosts that were added to what the routes say")
    .description(
      "Orders the versions that the routes serve onto hosts that lack them: hosts that were added or replaced.",
    )
    .addArgument(serviceArgument());
  addWaveOptions(command)
    .option("--exclude-absent", "order for hosts that do not report, and do not wait for them")
    .addHelpText("after", "\nExample:\n  slotd-controller converge web --only 'h7*'")
    .action((service: string, options: WaveOptions & { excludeAbsent?: boolean }, self: Command) =>
      underLock(context, self, { verb: "converge", service, options }, (work, view) =>
        convergeHosts(work, view, options),
      ),
    );
}
