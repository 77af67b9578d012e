import { randomUUID } from "node:crypto";
import type { Routes } from "../../../../protocol/routes.ts";
import { NoHostsError } from "../../../errors.ts";
import { uninstallOrder } from "../../decisions/draft-orders.ts";
import { hostsHolding } from "../../decisions/hosts-holding.ts";
import { inGroups, waveSize } from "../../decisions/waves.ts";
import { DeployHaltedError, InUseError } from "../../deploy-errors.ts";
import type { WaveOptions } from "../../deploy-options.ts";
import { authorOf, type DeployContext } from "../deploy-context.ts";
import type { FleetView } from "../fleet-view.ts";
import { ensureRoutes } from "../records/routes.ts";
import { type HostTask, Rollout } from "../rollout/rollout.ts";
import type { RunResult } from "../run-result.ts";
import { edgesBarrier } from "../steps/barriers.ts";
import { chooseHosts } from "./choose-hosts.ts";

export interface ShutdownRequest {
  version: string;
  options: WaveOptions;
  /** Does not wait for drains, continues when edges do not answer, and accepts the default version. */
  force?: { reason: string };
}

/**
 * Takes a version out of the fleet: first out of the routes, then, wave by wave, out of the hosts.
 * @throws InUseError for the default version; NoHostsError
 */
export async function shutDownVersion(
  context: DeployContext,
  { routes, fleet }: FleetView,
  { version, options, force }: ShutdownRequest,
): Promise<RunResult> {
  const { service, report } = context;
  const isDefault = routes?.default === version;
  if (isDefault && !force)
    throw new InUseError(
      `${version} is the default of ${service}: deploy another version first, or \`force-shutdown\``,
    );
  const statuses = chooseHosts(service, fleet.statuses, { only: options.only ?? [], exclude: options.exclude ?? [] });
  const holding = hostsHolding(statuses, version);
  if (holding.length === 0) throw new NoHostsError(service, `no host of ${service} holds ${version}`);
  if (isDefault) report.warn(`${version} is the default of ${service}: nothing will answer its users`);
  else if (routes?.serving.includes(version)) await withdraw(context, routes, version, options, force !== undefined);

  const id = `shutdown-${randomUUID()}`;
  const tasks = holding.map(({ host, slot: { slot } }): HostTask => {
    const order = uninstallOrder(authorOf(context), { id, slot, version, ...(force && { force }) });
    return { host, awaited: true, orders: [{ slot, order }] };
  });
  return remove(context, tasks, { version, options, ...(force && { force }) });
}

async function remove(
  context: DeployContext,
  tasks: HostTask[],
  { version, options, force }: ShutdownRequest,
): Promise<RunResult> {
  const { report, events, by } = context;
  report.beginStep("removing", `${version} from ${tasks.length} ${tasks.length === 1 ? "host" : "hosts"}`);
  const text = `${version} is ${force ? "forced" : "taken"} out of ${tasks.length} hosts`;
  events.send(text, { version, facts: { by, ...(force && { reason: force.reason }) } });
  const rollout = new Rollout(context, { maxFailures: options.maxFailures, pauseMs: options.pause });
  try {
    await rollout.run(inGroups(tasks, waveSize(options.wave, tasks.length)));
  } finally {
    rollout.stop();
  }
  report.endStep();
  const hosts = tasks.map(({ host }) => host);
  const gone = hosts.length - rollout.failures.length;
  return {
    outcome: "done",
    text: `${version} is gone from ${gone} of ${hosts.length} hosts`,
    facts: { version, hosts, failures: rollout.failures },
  };
}

async function withdraw(
  context: DeployContext,
  routes: Routes,
  version: string,
  { withoutEdge = [] }: WaveOptions,
  isForced: boolean,
): Promise<void> {
  const { bus, service, lock, by, report } = context;
  const serving = routes.serving.filter((each) => each !== version);
  report.beginStep("withdrawing", `${version} leaves the routes`);
  const put = await ensureRoutes(bus, service, { default: routes.default, serving }, { epoch: lock.epoch, by });
  const need = { routes: put.revision, epoch: put.routes.epoch, serversets: 0 };
  try {
    await edgesBarrier(context, need, withoutEdge, bus.signal);
  } catch (error) {
    if (!isForced || !(error instanceof DeployHaltedError)) throw error;
    report.warn(error.message);
  }
  report.endStep();
}
