import { randomUUID } from "node:crypto";
import type { BusSession } from "../../../../bus/session.ts";
import type { DeployPlan, RunningDeploy } from "../../../../protocol/deploy.ts";
import { ReleaseNotFoundError } from "../../../../protocol/errors.ts";
import type { HostStatus } from "../../../../protocol/host-status.ts";
import type { Release } from "../../../../protocol/release.ts";
import type { Routes } from "../../../../protocol/routes.ts";
import { ArgumentError, NoHostsError } from "../../../errors.ts";
import { findRelease } from "../../../publish/releases.ts";
import { atomicMode } from "../../decisions/atomic-mode.ts";
import { lostRoutes } from "../../decisions/lost-routes.ts";
import type { KnownEdge } from "../../decisions/missing-edges.ts";
import { type DeployDraft, draftDeploy, initialProgress } from "../../decisions/plan.ts";
import { AlreadyCurrentError, RoutesLostError } from "../../deploy-errors.ts";
import { fetchRecord } from "../records/deploy-record.ts";
import type { OrderLedger } from "../records/order-ledger.ts";
import { chooseHosts } from "./choose-hosts.ts";

export interface DeployRequest {
  service: string;
  version: string;
  goal: RunningDeploy["goal"];
  plan: DeployPlan;
  by: string;
  message: string;
  /** The release, where it is not on the bus. */
  release?: Release | undefined;
  /** The default, where the bus has lost the routes. */
  live?: string | undefined;
}

/** The fleet as it is. */
export interface FleetFacts {
  routes: Routes | null;
  fleet: readonly HostStatus[];
  edges: { all: readonly KnownEdge[] };
  orders: OrderLedger;
}

export interface Begun {
  deploy: RunningDeploy;
  draft: DeployDraft;
}

/**
 * The deploy that a request means in the fleet as it is. Changes nothing.
 * @throws AlreadyCurrentError, RoutesLostError, ReleaseNotFoundError, NoHostsError, PlanError
 */
export async function beginDeploy(bus: BusSession, request: DeployRequest, view: FleetFacts): Promise<Begun> {
  const { service, version, goal, plan, by, message } = request;
  const { fleet, orders } = view;
  const { routes, serving } = await routesBefore(bus, request, view);
  if (routes?.default === version) throw new AlreadyCurrentError(service, version);
  const release = request.release ?? (await findRelease(bus, service, version));
  const statuses = chooseHosts(service, fleet, plan);
  const draft = draftDeploy({ version, routes, statuses, fleet, plan, now: Date.now() });
  if (plan.excludeAbsent && draft.hosts.every(({ absent }) => absent))
    throw new NoHostsError(
      service,
      `none of the hosts in this deploy of ${service} has reported lately, so there is no host to deploy to`,
    );
  const wanted = [routes?.default ?? null, ...serving, ...draft.hosts.map(({ was }) => was)];
  const versions = new Set(wanted.filter((each) => each !== null && each !== version) as string[]);
  const deploy: RunningDeploy = {
    ...{ id: `deploy-${randomUUID()}`, version, release, step: atomicMode.start, goal, rollback: null },
    from: {
      default: routes?.default ?? null,
      serving,
      releases: await releasesOf(bus, service, versions, orders),
    },
    ...{ withdrawn: draft.withdrawn, plan, by, message },
    ...{ startedAt: new Date().toISOString(), endedAt: null, halted: null },
    hosts: initialProgress(draft, plan),
  };
  return { deploy, draft };
}

/**
 * What is routed to before the deploy. Where the bus has lost the routes, the deploy of the version that is live puts
 * them back, and another has to be told which that is.
 */
async function routesBefore(
  bus: BusSession,
  { service, version, live }: DeployRequest,
  { routes, fleet, edges }: FleetFacts,
): Promise<{ routes: Pick<Routes, "default" | "serving"> | null; serving: string[] }> {
  const record = (await fetchRecord(bus, service)).deploy;
  const lost = lostRoutes({ routes, statuses: fleet, edges: edges.all, record });
  if (lost === null) {
    if (live !== undefined) throw new ArgumentError("--live", `is for a service that has lost its routes`);
    return { routes, serving: routes?.serving ?? [] };
  }
  if (lost.live.join() === version || live === version) return { routes: null, serving: lost.serving };
  if (live === undefined) throw new RoutesLostError(service, version, lost);
  const isHeld = fleet.some(({ slots }) => Object.values(slots).some((slot) => slot.version === live));
  if (!isHeld) throw new ArgumentError("--live", `must be a version that a host holds, not ${live}`);
  const serving = [...new Set([...lost.serving, live])];
  return { routes: { default: live, serving }, serving };
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
