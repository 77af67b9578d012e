import type { DeployPlan } from "../../../../protocol/deploy.ts";
import type { HostStatus } from "../../../../protocol/host-status.ts";
import { ArgumentError, NoHostsError } from "../../../errors.ts";
import { selectHosts } from "../../decisions/select-hosts.ts";

/**
 * The hosts that `--only` and `--exclude` leave. @throws NoHostsError, ArgumentError for a pattern that matches no host
 */
export function chooseHosts(
  service: string,
  fleet: readonly HostStatus[],
  { only, exclude }: Pick<DeployPlan, "only" | "exclude">,
): HostStatus[] {
  if (fleet.length === 0)
    throw new NoHostsError(service, `no host of ${service} has reported in the last day; start slotd there`);
  const names = fleet.map(({ host }) => host);
  const { hosts, unmatched } = selectHosts(names, { only, exclude });
  const [pattern] = unmatched;
  if (pattern !== undefined) {
    const option = only.includes(pattern) ? "--only" : "--exclude";
    throw new ArgumentError(option, `${JSON.stringify(pattern)} is no host of ${service}`);
  }
  if (hosts.length === 0) throw new NoHostsError(service, `no host of ${service} is left by --only and --exclude`);
  return fleet.filter(({ host }) => hosts.includes(host));
}
