import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addRunOptions, type RunOptions, serviceArgument } from "../deploy/deploy-options.ts";
import { inDeploy } from "../deploy/run/deploy-context.ts";
import { deployResult } from "../deploy/run/deploy-result.ts";
import { runDeploy } from "../deploy/run/steps/run-deploy.ts";
import { underLock } from "../deploy/run/under-lock.ts";

export function addPromote(program: Command, context: Context): void {
  const command = program
    .command("promote")
    .summary("make the prepared version the default")
    .description(
      "Makes the version that `prepare` brought to the fleet the default, once every edge says again that it can serve it.",
    )
    .addArgument(serviceArgument());
  addRunOptions(command)
    .addHelpText("after", "\nExample:\n  slotd-controller promote web")
    .action((service: string, options: RunOptions, self: Command) =>
      underLock(context, self, { verb: "promote", service, options }, async (work) => {
        const { withoutEdge = [] } = options;
        // Hosts and edges may have changed since it was prepared: that barrier is passed once more.
        const change = inDeploy((deploy) => ({
          ...deploy,
          ...{ step: "waiting", goal: "promote", halted: null },
          plan: { ...deploy.plan, withoutEdges: [...new Set([...deploy.plan.withoutEdges, ...withoutEdge])] },
        }));
        await work.lock.write(change);
        return deployResult(work, await runDeploy(work));
      }),
    );
}
