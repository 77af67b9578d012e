import { randomUUID } from "node:crypto";
import type { DeployPlan, RunningDeploy } from "../../../../protocol/deploy.ts";
import { ReleaseNotFoundError } from "../../../../protocol/errors.ts";
import type { HostStatus } from "../../../../protocol/host-status.ts";
import type { Release } from "../../../../protocol/release.ts";
import type { Routes } from "../../../../protocol/routes.ts";
import type { Bus } from "../../../bus.ts";
import { ArgumentError, NoHostsError } from "../../../errors.ts";
import { findRelease } from "../../../publish/releases.ts";
import { type DeployDraft, draftDeploy, initialProgress } from "../../decisions/plan.ts";
import { selectHosts } from "../../decisions/select-hosts.ts";
import { AlreadyCurrentError } from "../../deploy-errors.ts";
import type { OrderLedger } from "../records/order-ledger.ts";

export interface DeployRequest {
  service: string;
  version: string;
  goal: RunningDeploy["goal"];
  plan: DeployPlan;
  by: string;
  message: string;
}

export interface Begun {
  deploy: RunningDeploy;
  draft: DeployDraft;
}

/**
 * The deploy that a wish means in the fleet as it is. Changes nothing.
 * @throws AlreadyCurrentError, ReleaseNotFoundError, NoHostsError, PlanError
 */
export async function beginDeploy(
  bus: Bus,
  { service, version, goal, plan, by, message }: DeployRequest,
  { routes, fleet, orders }: { routes: Routes | null; fleet: readonly HostStatus[]; orders: OrderLedger },
): Promise<Begun> {
  if (routes?.default === version) throw new AlreadyCurrentError(service, version);
  const release = await findRelease(bus, service, version);
  const statuses = chooseHosts(service, fleet, plan);
  const draft = draftDeploy({ version, routes, statuses, fleet, plan, now: Date.now() });
  if (plan.excludeAbsent && draft.hosts.every(({ absent }) => absent))
    throw new NoHostsError(service, `no host of ${service} that takes part reports: there is nobody to deploy to`);
  const wanted = [routes?.default ?? null, ...(routes?.serving ?? []), ...draft.hosts.map(({ was }) => was)];
  const versions = new Set(wanted.filter((each) => each !== null && each !== version) as string[]);
  const deploy: RunningDeploy = {
    ...{ id: `deploy-${randomUUID()}`, version, release, step: "withdrawing", goal, rollback: null },
    from: {
      default: routes?.default ?? null,
      serving: routes?.serving ?? [],
      releases: await releasesOf(bus, service, versions, orders),
    },
    ...{ withdrawn: draft.withdrawn, plan, by, message },
    ...{ startedAt: new Date().toISOString(), endedAt: null, halted: null },
    hosts: initialProgress(draft, plan),
  };
  return { deploy, draft };
}

/** @throws NoHostsError, UsageError */
export function chooseHosts(
  service: string,
  fleet: readonly HostStatus[],
  { only, exclude }: Pick<DeployPlan, "only" | "exclude">,
): HostStatus[] {
  if (fleet.length === 0)
    throw new NoHostsError(service, `no host of ${service} has reported in the last day; start slotd there`);
  const { hosts, idle } = selectHosts(
    fleet.map(({ host }) => host),
    { only, exclude },
  );
  const mistyped = idle.find((pattern) => only.includes(pattern));
  if (mistyped !== undefined) throw new ArgumentError("--only", `${JSON.stringify(mistyped)} is no host of ${service}`);
  const [idleExclude] = idle;
  if (idleExclude !== undefined)
    throw new ArgumentError("--exclude", `${JSON.stringify(idleExclude)} is no host of ${service}`);
  if (hosts.length === 0) throw new NoHostsError(service, `no host of ${service} is left by --only and --exclude`);
  return fleet.filter(({ host }) => hosts.includes(host));
}

/** What is known of versions: as they were last ordered, else as they are published. A version that is unknown can't be brought back. */
async function releasesOf(
  bus: Bus,
  service: string,
  versions: ReadonlySet<string>,
  orders: OrderLedger,
): Promise<Record<string, Release>> {
  const found = await Promise.all(
    [...versions].map(async (version): Promise<[string, Release][]> => {
      const ordered = orders.release(version);
      if (ordered) return [[version, ordered]];
      try {
        return [[version, await findRelease(bus, service, version)]];
      } catch (error) {
        if (error instanceof ReleaseNotFoundError) return [];
        throw error;
      }
    }),
  );
  return Object.fromEntries(found.flat());
}
