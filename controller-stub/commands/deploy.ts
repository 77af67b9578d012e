import type { Command } from "commander";
import type { Deploy, RunningDeploy } from "../../protocol/deploy.ts";
import type { Context } from "../context.ts";
import {
  addDeployOptions,
  type DeployOptions,
  planOf,
  serviceArgument,
  versionArgument,
} from "../deploy/deploy-options.ts";
import { beginDeploy, type DeployRequest } from "../deploy/run/verbs/begin-deploy.ts";
import type { DeployContext } from "../deploy/run/deploy-context.ts";
import { showPlan } from "../deploy/show/dry-run.ts";
import { deployResult } from "../deploy/run/deploy-result.ts";
import { listSome } from "../deploy/show/deploy-report.ts";
import { runDeploy } from "../deploy/run/steps/run-deploy.ts";
import { underLock, withFleetBus, withFleetView } from "../deploy/run/under-lock.ts";

const EXAMPLES = `
Examples:
  slotd-controller deploy web 1.5.0 --message "faster checkout"
  slotd-controller deploy web 1.5.0 --wave 25% --pause 30000 --canary canary
  slotd-controller deploy web 1.5.0 --dry-run
  slotd-controller deploy web 1.5.0 --exclude-absent --without-edge edge-3`;

export function addDeploy(program: Command, context: Context): void {
  add(program, context, "deploy", "promote")
    .summary("bring a version to the fleet and make it the default")
    .description(
      "Brings a published version to every host, in waves, into the slot beside the default version, and makes it the default once every\n" +
        "edge can serve it. No host loses the default version, and no edge routes to what is being replaced.",
    )
    .addHelpText("after", EXAMPLES);
}

export function addPrepare(program: Command, context: Context): void {
  add(program, context, "prepare", "prepare")
    .summary("deploy, up to the switch of the default")
    .description("Does all that `deploy` does but the switch of the default version: `promote` does that.")
    .addHelpText("after", "\nExample:\n  slotd-controller prepare web 1.5.0 && slotd-controller promote web");
}

function add(program: Command, context: Context, verb: "deploy" | "prepare", goal: RunningDeploy["goal"]): Command {
  const command = program
    .command(verb)
    .addArgument(serviceArgument())
    .addArgument(versionArgument("release to deploy"));
  return addDeployOptions(command).action((service: string, version: string, options: DeployOptions, self: Command) => {
    const { by = context.user, message = "" } = options;
    const wish: DeployRequest = { service, version, goal, plan: planOf(options), by, message };
    return options.dryRun ? dryRun(context, self, wish) : deploy(context, self, verb, wish, options);
  });
}

function dryRun(context: Context, command: Command, wish: DeployRequest): Promise<void> {
  return withFleetBus(context, command, (bus) =>
    withFleetView(context, bus, wish.service, async (view) => {
      const begun = await beginDeploy(bus, wish, { ...view, fleet: view.fleet.statuses });
      showPlan(context.output, wish.service, begun, view);
    }),
  );
}

function deploy(
  context: Context,
  command: Command,
  verb: "deploy" | "prepare",
  wish: DeployRequest,
  options: DeployOptions,
): Promise<void> {
  return underLock(context, command, { verb, service: wish.service, options }, async (work, view) => {
    const { deploy: begun, draft } = await beginDeploy(work.bus, wish, { ...view, fleet: view.fleet.statuses });
    await work.lock.write((record: Deploy) => ({ ...record, deploy: begun }));
    announce(work, begun);
    const apart = view.fleet.statuses.length - draft.hosts.length;
    if (apart > 0) work.report.warn(`${apart} hosts take no part, and will not have ${wish.version}`);
    const absent = draft.hosts.filter((host) => host.absent).map(({ host }) => host);
    if (absent.length > 0)
      work.report.warn(
        `${listSome(absent)} not reporting: ordered for, and ${wish.plan.excludeAbsent ? "not " : ""}waited for`,
      );
    return deployResult(work, await runDeploy(work));
  });
}

function announce(
  { service, lock, report }: DeployContext,
  { id, version, from, by, message, hosts }: RunningDeploy,
): void {
  const before = from.default === null ? "the first version" : `after ${from.default}`;
  report.say(`deploying ${service} ${version}, ${before}, epoch ${lock.epoch}`, {
    ...{
      kind: "started",
      id,
      service,
      version,
      epoch: lock.epoch,
      from: from.default,
      hosts: Object.keys(hosts).length,
    },
  });
  report.event(`the deploy of ${version} began`, { version, facts: { id, by, message, from: from.default } });
}
