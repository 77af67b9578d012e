import type { HostProgress } from "../../../../protocol/deploy.ts";
import { ReleaseNotFoundError } from "../../../../protocol/errors.ts";
import type { Order } from "../../../../protocol/order.ts";
import type { Release } from "../../../../protocol/release.ts";
import { installOrder, isOrderOf, releaseOf, uninstallOrder } from "../../decisions/draft-orders.ts";
import type { ExpectedMember } from "../../decisions/missing-members.ts";
import { inGroups, waveSize } from "../../decisions/waves.ts";
import { authorOf, type DeployContext, deployOf } from "../deploy-context.ts";
import type { HostTask } from "./rollout.ts";

export interface RestorePlan {
  waves: HostTask[][];
  /** The slots that edges must know of before the routes become what they were. */
  expected: ExpectedMember[];
}

/** What a rollback orders on the hosts that the deploy ordered something for. @throws ReleaseNotFoundError */
export function restoreTasks(context: DeployContext): RestorePlan {
  const deploy = deployOf(context);
  const hosts = Object.entries(deploy.hosts).map(([host, progress]) => ({
    host,
    progress,
    release: replacedRelease(context, host, progress),
  }));
  const expected = hosts.flatMap(({ host, progress: { slot, step }, release }): ExpectedMember[] => {
    const isServed = release !== null && deploy.from.serving.includes(release.version);
    return isServed && step !== "excluded" ? [{ host, slot, release }] : [];
  });
  const tasks = hosts.map(({ host, progress, release }) => restoreTask(context, host, progress, release));
  const waiting = tasks.filter(({ host }) => deploy.hosts[host]?.step !== "done");
  return { waves: inGroups(waiting, waveSize(deploy.plan.wave, tasks.length)), expected };
}

/** The release that the deploy replaced on a host; null where its slot was empty. */
function replacedRelease(context: DeployContext, host: string, { slot, was }: HostProgress): Release | null {
  if (was === null) return null;
  const release = releaseOf(deployOf(context), was);
  if (release !== undefined) return release;
  throw new ReleaseNotFoundError(was, `${host}'s slot ${slot}`, "its release is no longer known");
}

function restoreTask(
  context: DeployContext,
  host: string,
  { step, slot }: HostProgress,
  release: Release | null,
): HostTask {
  const { id, version } = deployOf(context);
  const awaited = step !== "excluded";
  const before = context.orders.latestOrder(host, slot);
  if (step === "ordered" && isRestoring(id, before))
    return { host, orders: [{ slot, order: before }], awaited, given: true };
  const order = release
    ? installOrder(authorOf(context), { id, slot, release, role: "previous", purpose: "restore", before })
    : uninstallOrder(authorOf(context), { id, slot, version });
  return { host, orders: [{ slot, order }], awaited };
}

function isRestoring(id: string, order: Order | null): order is Order {
  return isOrderOf(id, order) && /:(restore|uninstall)$/.test(order.id);
}
