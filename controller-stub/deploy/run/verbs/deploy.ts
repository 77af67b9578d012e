import type { BusSession } from "../../../../bus/session.ts";
import type { RunningDeploy } from "../../../../protocol/deploy.ts";
import type { CommandOutput } from "../../../terminal/output.ts";
import { showPlan } from "../../show/dry-run.ts";
import { listSome } from "../../show/list-some.ts";
import type { DeployContext } from "../deploy-context.ts";
import type { FleetView } from "../fleet-view.ts";
import { deployResult, type RunResult } from "../run-result.ts";
import { runDeploy } from "../steps/run-deploy.ts";
import { beginDeploy, type DeployRequest } from "./begin-deploy.ts";

/** Begins a deploy, and runs it as far as its goal. */
export async function deployVersion(
  context: DeployContext,
  view: FleetView,
  request: DeployRequest,
): Promise<RunResult> {
  const { deploy, draft } = await beginDeploy(context.bus, request, { ...view, fleet: view.fleet.statuses });
  await context.lock.write((record) => ({ ...record, deploy }));
  announce(context, deploy);
  const { report } = context;
  const apart = view.fleet.statuses.length - draft.hosts.length;
  if (apart > 0)
    report.warn(
      `${apart} ${apart === 1 ? "host is" : "hosts are"} not in this deploy and will not get ${request.version}`,
    );
  const absent = draft.hosts.filter((host) => host.absent).map(({ host }) => host);
  if (absent.length > 0) report.warn(absentText(absent, request.plan.excludeAbsent));
  return deployResult(context, await runDeploy(context));
}

/** Shows what a deploy would do, without the lock. */
export async function dryRun(
  output: CommandOutput,
  bus: BusSession,
  view: FleetView,
  request: DeployRequest,
): Promise<void> {
  const begun = await beginDeploy(bus, request, { ...view, fleet: view.fleet.statuses });
  const { withoutEdges } = begun.deploy.plan;
  const edges = view.edges.all.map(({ edge }) => edge).filter((edge) => !withoutEdges.includes(edge));
  showPlan(output, request.service, { ...begun, edges });
}

function announce(
  { service, lock, report, events }: DeployContext,
  { id, version, from, by, message, hosts }: RunningDeploy,
): void {
  const before = from.default === null ? "the first version" : `after ${from.default}`;
  const facts = { id, service, version, epoch: lock.epoch, from: from.default, hosts: Object.keys(hosts).length };
  report.say(`deploying ${service} ${version}, ${before}, epoch ${lock.epoch}`, { kind: "started", ...facts });
  events.send(`the deploy of ${version} began`, { version, facts: { id, by, message, from: from.default } });
}

function absentText(absent: readonly string[], excluded: boolean): string {
  const wait = excluded ? "does not wait" : "waits";
  return `no reports from ${listSome(absent)}: the order is put anyway, and the deploy ${wait} for the outcome`;
}
