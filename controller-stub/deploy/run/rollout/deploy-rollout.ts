import type { HostProgress } from "../../../../protocol/deploy.ts";
import { failedHosts } from "../../decisions/count-hosts.ts";
import { isOrderOf } from "../../decisions/draft-orders.ts";
import type { FailedHost } from "../../deploy-errors.ts";
import { type DeployContext, deployOf, inDeploy } from "../deploy-context.ts";
import { Rollout } from "./rollout.ts";

/**
 * The rollout of the new version. It watches the hosts that earlier runs have changed, and counts those that failed.
 */
export function forwardRollout(context: DeployContext): Rollout {
  const deploy = deployOf(context);
  const rollout = recordedRollout(context, failedHosts(deploy));
  for (const [host, { step, slot }] of Object.entries(deploy.hosts)) {
    const order = context.orders.latestOrder(host, slot);
    if (step === "done" && isOrderOf(deploy.id, order)) rollout.keepWatching(host, slot, order);
  }
  return rollout;
}

/** The rollout of what the deploy replaced. */
export function backwardRollout(context: DeployContext): Rollout {
  return recordedRollout(context);
}

/** Its progress is in the record of the deploy. */
function recordedRollout(context: DeployContext, failed: readonly FailedHost[] = []): Rollout {
  const { maxFailures, pauseMs } = deployOf(context).plan;
  return new Rollout(context, {
    ...{ maxFailures, pauseMs, failed },
    onOrdered: (host) => noteProgress(context, host, { step: "ordered" }),
    onDone: (host) => noteProgress(context, host, { step: "done" }),
    onFailed: ({ host, code, message }) => noteProgress(context, host, { step: "failed", error: { code, message } }),
  });
}

function noteProgress(context: DeployContext, host: string, change: Partial<HostProgress>): void {
  context.lock.note(
    inDeploy((deploy) => {
      const now = deploy.hosts[host];
      if (now === undefined) return deploy;
      const { error: _, ...rest } = now;
      return { ...deploy, hosts: { ...deploy.hosts, [host]: { ...rest, ...change } } };
    }),
  );
}
