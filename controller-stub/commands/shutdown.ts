import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { addWaveOptions, serviceArgument, versionArgument, type WaveOptions } from "../deploy/deploy-options.ts";
import { underLock } from "../deploy/run/under-lock.ts";
import { shutDownVersion } from "../deploy/run/verbs/shutdown.ts";

export function addShutdown(program: Command, context: Context): void {
  const command = program
    .command("shutdown")
    .summary("remove a version from the fleet once nobody uses it")
    .description(
      "Takes a version out of the routes, waits for the edges, and removes it from its " +
        "hosts, starting with those that have served it longest.",
    )
    .addArgument(serviceArgument())
    .addArgument(versionArgument("version to remove; not the default"));
  addWaveOptions(command)
    .addHelpText("after", "\nExample:\n  slotd-controller shutdown web 1.4.1 --wave 1")
    .action((service: string, version: string, options: WaveOptions, self: Command) =>
      underLock(context, self, { verb: "shutdown", service, options }, (deployContext, view) =>
        shutDownVersion(deployContext, view, { version, options }),
      ),
    );
}

export function addForceShutdown(program: Command, context: Context): void {
  const command = program
    .command("force-shutdown")
    .summary("remove a version at once, even if it is in use")
    .description(
      "Removes a version from all its hosts at once, without waiting for drains, and " + "even if it is the default.",
    )
    .addArgument(serviceArgument())
    .addArgument(versionArgument("version to remove"));
  addWaveOptions(command, { percent: 100 })
    .addOption(new Option("--reason <text>", "why, for the record").makeOptionMandatory())
    .addHelpText("after", '\nExample:\n  slotd-controller force-shutdown web 1.4.1 --reason "leaks data"')
    .action((service: string, version: string, options: WaveOptions & { reason: string }, self: Command) =>
      underLock(context, self, { verb: "shutdown", service, options }, (deployContext, view) =>
        shutDownVersion(deployContext, view, { version, options, force: { reason: options.reason } }),
      ),
    );
}
