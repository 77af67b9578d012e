import type { Command } from "commander";
import type { Context } from "../context.ts";
import {
  addDeployOptions,
  type DeployOptions,
  planOf,
  serviceArgument,
  versionArgument,
} from "../deploy/deploy-options.ts";
import { withFleetView } from "../deploy/run/fleet-view.ts";
import { underLock, withFleetBus } from "../deploy/run/under-lock.ts";
import type { DeployRequest } from "../deploy/run/verbs/begin-deploy.ts";
import { deployVersion, dryRun } from "../deploy/run/verbs/deploy.ts";
import { readRelease } from "../publish/read-release.ts";

const EXAMPLES = `
Examples:
  slotd-controller deploy web 1.5.0 --message "faster checkout"
  slotd-controller deploy web 1.5.0 --wave 25% --pause 30000 --canary canary
  slotd-controller deploy web 1.5.0 --dry-run
  slotd-controller deploy web 1.5.0 --exclude-absent --without-edge edge-3
  slotd-controller publish web 1.5.0 dist/web-1.5.0.release.json \\
    --to /srv/releases --json > web.json
  slotd-controller deploy web 1.5.0 --release web.json`;

export function addDeploy(program: Command, context: Context): void {
  addVerb(program, context, "deploy")
    .summary("bring a version to the fleet and make it the default")
    .description(
      "Installs a published version on every host, in waves, in the slot beside the " +
        "default version, and makes it the default once every edge can serve it. No host " +
        "loses the default version, and no edge routes to what is being replaced.",
    )
    .addHelpText("after", EXAMPLES);
}

export function addPrepare(program: Command, context: Context): void {
  addVerb(program, context, "prepare")
    .summary("deploy, but stop before the switch of the default")
    .description("Does what `deploy` does, except for the switch of the default: `promote` does that.")
    .addHelpText("after", "\nExample:\n  slotd-controller prepare web 1.5.0 && slotd-controller promote web");
}

function addVerb(program: Command, context: Context, verb: "deploy" | "prepare"): Command {
  const command = program
    .command(verb)
    .addArgument(serviceArgument())
    .addArgument(versionArgument("release to deploy"));
  return addDeployOptions(command).action((service: string, version: string, options: DeployOptions, self: Command) => {
    const { by = context.user, message = "" } = options;
    const goal = verb === "deploy" ? "promote" : "prepare";
    const release = options.release === undefined ? undefined : readRelease(service, version, options.release);
    const plan = planOf(options);
    const request: DeployRequest = { service, version, goal, plan, by, message, live: options.live, release };
    if (options.dryRun) return showDryRun(context, self, request);
    return underLock(context, self, { verb, service, options }, (deployContext, view) =>
      deployVersion(deployContext, view, request),
    );
  });
}

function showDryRun(context: Context, command: Command, request: DeployRequest): Promise<void> {
  return withFleetBus(context, command, (bus) =>
    withFleetView(context, bus, request.service, (view) => dryRun(context.output, bus, view, request)),
  );
}
