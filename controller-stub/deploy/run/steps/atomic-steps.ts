import type { DeployStep, HostProgress, RunningDeploy } from "../../../../protocol/deploy.ts";
import { isOrderOf } from "../../decisions/draft-orders.ts";
import type { ExpectedMember } from "../../decisions/missing-members.ts";
import { reorderRoles } from "./reorder-roles.ts";
import { failedHosts } from "../../decisions/count-hosts.ts";
import { routesBefore, routesDuring, routesOffered, routesSwitched } from "../../decisions/wanted-routes.ts";
import type { FailedHost } from "../../deploy-errors.ts";
import { edgesBarrier, membersBarrier } from "./barriers.ts";
import { type DeployContext, deployOf, inDeploy } from "../deploy-context.ts";
import { Rollout } from "../rollout/rollout.ts";
import { ensureRoutes, fetchRoutes, type WantedRoutes } from "../records/routes.ts";
import { installTasks, restoreTasks } from "../rollout/tasks.ts";

const KEPT_REVISIONS = 32;

/**
 * What each step of a deploy does. Every one may be done again from its beginning: after a crash the step under way is repeated, by
 * another run with a higher epoch.
 */
export class Steps {
  private readonly rollout: Rollout;
  /** The members that edges have to know of; learned while offering. */
  private serversets: number | undefined;

  constructor(private readonly work: DeployContext) {
    this.rollout = forwards(work);
  }

  stop(): void {
    this.rollout.stop();
  }

  async perform(step: DeployStep): Promise<void> {
    const { work } = this;
    const deploy = deployOf(work);
    const offered = routesOffered(deploy);
    switch (step) {
      case "withdrawing":
        await this.route(routesDuring(deploy));
        return;
      case "draining":
        return this.agree(routesDuring(deploy), 0);
      case "installing":
        // Another run may have died since: whoever replaces something makes sure itself that nobody routes to it.
        await this.agree(routesDuring(deploy), 0);
        return this.rollout.run(installTasks(work));
      case "offering":
        this.serversets = await this.members();
        await this.route(offered && { ...offered, anew: true });
        return;
      case "waiting":
        return this.agree(offered, this.serversets ?? (await this.members()));
      case "promoting":
        await this.agree(routesSwitched(deploy), 0);
        // The orders that follow supersede those that were watched.
        this.rollout.stop();
        await reorderRoles(work, { current: deploy.version, previous: deploy.from.default });
        await work.lock.write((record) => ({ ...record, revisions: noted(record.revisions, deploy) }));
        return;
      case "restoring":
        return deploy.rollback === "switch" ? this.switchBack() : this.restore();
      case "prepared":
      case "done":
      case "rolledBack":
      case "aborted":
        return;
      default:
        step satisfies never;
    }
  }

  private async switchBack(): Promise<void> {
    const deploy = deployOf(this.work);
    const { routes } = await fetchRoutes(this.work.bus, this.work.service);
    const before = routesBefore(deploy);
    if (before === null) return;
    await this.agree({ ...before, serving: routes?.serving ?? before.serving }, 0);
    await reorderRoles(this.work, { current: before.default, previous: deploy.version });
  }

  private async restore(): Promise<void> {
    const { work } = this;
    const deploy = deployOf(work);
    await this.agree(routesDuring(deploy), 0);
    const rollout = backwards(work);
    try {
      const { waves, expected } = restoreTasks(work);
      await rollout.run(waves);
      const failed = new Set(rollout.failures.map(({ host }) => host));
      const serversets = await membersBarrier(
        work,
        expected.filter(({ host }) => !failed.has(host)),
        rollout.signal,
      );
      await this.agree(routesBefore(deploy), serversets, rollout.signal);
    } finally {
      rollout.stop();
    }
  }

  /** Each slot that was waited for has to be there for the edges. */
  private members(): Promise<number> {
    const { hosts, release } = deployOf(this.work);
    const done = Object.entries(hosts).filter(([, { step }]) => step === "done");
    const expected = done.map(([host, { slot }]): ExpectedMember => ({ host, slot, release }));
    return membersBarrier(this.work, expected, this.rollout.signal);
  }

  private route(wanted: WantedRoutes | null) {
    const { bus, service, lock, by } = this.work;
    return wanted && ensureRoutes(bus, service, wanted, { epoch: lock.epoch, by });
  }

  /** Routes as wanted, and every edge running with them. */
  private async agree(wanted: WantedRoutes | null, serversets: number, signal = this.rollout.signal): Promise<void> {
    // Too many hosts may have failed before: then nothing is switched.
    signal.throwIfAborted();
    const put = await this.route(wanted);
    if (put === null) return;
    const need = { routes: put.revision, epoch: put.routes.epoch, serversets };
    await edgesBarrier(this.work, need, deployOf(this.work).plan.withoutEdges, signal);
  }
}

function progress(work: DeployContext, host: string, change: Partial<HostProgress>): void {
  work.lock.note(
    inDeploy((deploy) => {
      const now = deploy.hosts[host];
      if (now === undefined) return deploy;
      const { error: _, ...rest } = now;
      return { ...deploy, hosts: { ...deploy.hosts, [host]: { ...rest, ...change } } };
    }),
  );
}

/** The rollout of the new version; it goes on with the hosts that earlier runs have changed. */
function forwards(work: DeployContext): Rollout {
  const deploy = deployOf(work);
  const { plan, hosts, id, step: at } = deploy;
  if (at === "restoring") return hostRollout(work, plan);
  const rollout = hostRollout(work, plan, failedHosts(deploy));
  for (const [host, { step, slot }] of Object.entries(hosts)) {
    const order = work.orders.latest(host, slot);
    if (step === "done" && isOrderOf(id, order)) rollout.watch(host, slot, order);
  }
  return rollout;
}

function backwards(work: DeployContext): Rollout {
  return hostRollout(work, deployOf(work).plan);
}

function hostRollout(
  work: DeployContext,
  { maxFailures, pauseMs }: RunningDeploy["plan"],
  failed: readonly FailedHost[] = [],
): Rollout {
  return new Rollout(work, {
    ...{ maxFailures, pauseMs, failed },
    onOrdered: (host) => progress(work, host, { step: "ordered" }),
    onDone: (host) => progress(work, host, { step: "done" }),
    onFailed: ({ host, code, message }: FailedHost) =>
      progress(work, host, { step: "failed", error: { code, message } }),
  });
}

function noted<T extends { version: string }>(revisions: readonly T[], deploy: RunningDeploy) {
  const { version, release, by, message } = deploy;
  const revision = { version, sha256: release.sha256, by, message, at: new Date().toISOString() };
  const [newest] = revisions;
  // A repeated last step notes nothing twice.
  return newest?.version === version
    ? [revision, ...revisions.slice(1)]
    : [revision, ...revisions].slice(0, KEPT_REVISIONS);
}
