import { randomUUID } from "node:crypto";
import type { HostStatus, SlotStatus } from "../../../../protocol/host-status.ts";
import { NoHostsError } from "../../../errors.ts";
import { uninstallOrder } from "../../decisions/draft-orders.ts";
import { inGroups, waveSize } from "../../decisions/waves.ts";
import { DeployHaltedError, InUseError } from "../../deploy-errors.ts";
import type { WaveOptions } from "../../deploy-options.ts";
import { edgesBarrier } from "../steps/barriers.ts";
import { chooseHosts } from "./begin-deploy.ts";
import type { DeployContext } from "../deploy-context.ts";
import { type HostTask, Rollout } from "../rollout/rollout.ts";
import { ensureRoutes } from "../records/routes.ts";
import type { FleetView, RunResult } from "../under-lock.ts";

/** The slots that hold a version, the longest in their state first. */
export function holders(statuses: readonly HostStatus[], version: string): { host: string; slot: SlotStatus }[] {
  return statuses
    .flatMap(({ host, slots }) => Object.values(slots).map((slot) => ({ host, slot })))
    .filter(({ slot }) => slot.version === version)
    .sort((x, y) => Date.parse(x.slot.since) - Date.parse(y.slot.since) || (x.host < y.host ? -1 : 1));
}

/**
 * Takes a version out of the fleet: first out of the routes, then, wave by wave, out of the hosts.
 * @param force with the reason: does not wait for drains, nor in vain for edges, and takes the default version as well
 * @throws InUseError for the default version
 */
export async function shutDownVersion(
  work: DeployContext,
  { routes, fleet }: FleetView,
  { version, options, force }: { version: string; options: WaveOptions; force?: { reason: string } },
): Promise<RunResult> {
  const { service, report } = work;
  const isDefault = routes?.default === version;
  if (isDefault && !force)
    throw new InUseError(
      `${version} is the default of ${service}: deploy another version first, or \`force-shutdown\``,
    );
  const statuses = chooseHosts(service, fleet.statuses, { only: options.only ?? [], exclude: options.exclude ?? [] });
  const holding = holders(statuses, version);
  if (holding.length === 0) throw new NoHostsError(service, `no host of ${service} holds ${version}`);
  if (isDefault) report.warn(`${version} is the default of ${service}: requests will have nobody to answer them`);
  else if (routes?.serving.includes(version)) await withdraw(work, routes, version, options, force !== undefined);

  const id = `shutdown-${randomUUID()}`;
  const tasks = holding.map(({ host, slot: { slot } }): HostTask => {
    return {
      host,
      awaited: true,
      orders: [{ slot, order: uninstallOrder(work, { id, slot, version, ...(force && { force }) }) }],
    };
  });
  const size = waveSize(options.wave, tasks.length);
  report.begin("removing", `${version} from ${tasks.length} ${tasks.length === 1 ? "host" : "hosts"}`);
  report.event(`${version} is ${force ? "forced" : "taken"} out of ${tasks.length} hosts`, {
    version,
    facts: { by: work.by, ...(force && { reason: force.reason }) },
  });
  const rollout = new Rollout(work, { maxFailures: options.maxFailures, pauseMs: options.pause });
  try {
    await rollout.run(inGroups(tasks, size));
  } finally {
    rollout.stop();
  }
  report.end();
  const hosts = tasks.map(({ host }) => host);
  const text = `${version} is gone from ${hosts.length - rollout.failures.length} of ${hosts.length} hosts`;
  return { outcome: "done", text, facts: { version, hosts, failures: rollout.failures } };
}

async function withdraw(
  work: DeployContext,
  routes: NonNullable<FleetView["routes"]>,
  version: string,
  { withoutEdge = [] }: WaveOptions,
  isForced: boolean,
): Promise<void> {
  const { bus, service, lock, by, report } = work;
  const serving = routes.serving.filter((each) => each !== version);
  report.begin("withdrawing", `${version} leaves the routes`);
  const put = await ensureRoutes(bus, service, { default: routes.default, serving }, { epoch: lock.epoch, by });
  const need = { routes: put.revision, epoch: put.routes.epoch, serversets: 0 };
  try {
    await edgesBarrier(work, need, withoutEdge, bus.signal);
  } catch (error) {
    if (!isForced || !(error instanceof DeployHaltedError)) throw error;
    report.warn(error.message);
  }
  report.end();
}
