import { randomUUID } from "node:crypto";
import type { BusSession } from "../../../../bus/session.ts";
import type { DeployPlan, RunningDeploy } from "../../../../protocol/deploy.ts";
import { ReleaseNotFoundError } from "../../../../protocol/errors.ts";
import type { HostStatus } from "../../../../protocol/host-status.ts";
import type { Release } from "../../../../protocol/release.ts";
import type { Routes } from "../../../../protocol/routes.ts";
import { NoHostsError } from "../../../errors.ts";
import { findRelease } from "../../../publish/releases.ts";
import { atomicMode } from "../../decisions/atomic-mode.ts";
import { type DeployDraft, draftDeploy, initialProgress } from "../../decisions/plan.ts";
import { AlreadyCurrentError } from "../../deploy-errors.ts";
import type { OrderLedger } from "../records/order-ledger.ts";
import { chooseHosts } from "./choose-hosts.ts";

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
 * The deploy that a request means in the fleet as it is. Changes nothing.
 * @throws AlreadyCurrentError, ReleaseNotFoundError, NoHostsError, PlanError
 */
export async function beginDeploy(
  bus: BusSession,
  { service, version, goal, plan, by, message }: DeployRequest,
  { routes, fleet, orders }: { routes: Routes | null; fleet: readonly HostStatus[]; orders: OrderLedger },
): Promise<Begun> {
  if (routes?.default === version) throw new AlreadyCurrentError(service, version);
  const release = await findRelease(bus, service, version);
  const statuses = chooseHosts(service, fleet, plan);
  const draft = draftDeploy({ version, routes, statuses, fleet, plan, now: Date.now() });
  if (plan.excludeAbsent && draft.hosts.every(({ absent }) => absent))
    throw new NoHostsError(
      service,
      `none of the hosts in this deploy of ${service} has reported lately, so there is no host to deploy to`,
    );
  const wanted = [routes?.default ?? null, ...(routes?.serving ?? []), ...draft.hosts.map(({ was }) => was)];
  const versions = new Set(wanted.filter((each) => each !== null && each !== version) as string[]);
  const deploy: RunningDeploy = {
    ...{ id: `deploy-${randomUUID()}`, version, release, step: atomicMode.start, goal, rollback: null },
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

/**
 * The releases of versions, as they were last ordered, else as they are published. A version without one can't be
 * restored.
 */
async function releasesOf(
  bus: BusSession,
  service: string,
  versions: ReadonlySet<string>,
  orders: OrderLedger,
): Promise<Record<string, Release>> {
  const found = await Promise.all(
    [...versions].map(async (version): Promise<[string, Release][]> => {
      const ordered = orders.releaseOf(version);
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
