import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { addWaveOptions, serviceArgument, versionArgument, type WaveOptions } from "../deploy/deploy-options.ts";
import { underLock } from "../deploy/run/under-lock.ts";
import { shutDownVersion } from "../deploy/run/verbs/shutdown.ts";

export function addShutdown(program: Command, context: Context): void {
  const command = program
    .command("shutdown")
    .summary("take a version out of the fleet, once nobody uses it")
    .description(
      "Takes a version out of the routes, waits for the edges, and orders it out of its hosts, those that have served it longest first.",
    )
    .addArgument(serviceArgument())
    .addArgument(versionArgument("version to take away; not the default"));
  addWaveOptions(command)
    .addHelpText("after", "\nExample:\n  slotd-controller shutdown web 1.4.1 --wave 1")
    .action((service: string, version: string, options: WaveOptions, self: Command) =>
      underLock(context, self, { verb: "shutdown", service, options }, (work, view) =>
        shutDownVersion(work, view, { version, options }),
      ),
    );
}

export function addForceShutdown(program: Command, context: Context): void {
  const command = program
    .command("force-shutdown")
    .summary("take a version away at once, requests or not")
    .description(
      "Orders a version out of all its hosts at once, without waiting for drains. Also the default, if it must be.",
    )
    .addArgument(serviceArgument())
    .addArgument(versionArgument("version to take away"));
  addWaveOptions(command, { percent: 100 })
    .addOption(new Option("--reason <text>", "why, for the record").makeOptionMandatory())
    .addHelpText("after", '\nExample:\n  slotd-controller force-shutdown web 1.4.1 --reason "leaks data"')
    .action((service: string, version: string, options: WaveOptions & { reason: string }, self: Command) =>
      underLock(context, self, { verb: "shutdown", service, options }, (work, view) =>
        shutDownVersion(work, view, { version, options, force: { reason: options.reason } }),
      ),
    );
}
