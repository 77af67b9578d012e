import type { RunningDeploy } from "../../../protocol/deploy.ts";
import type { FailedHost } from "../deploy-errors.ts";
import type { DeployContext } from "../run/deploy-context.ts";

/** What `--json` ends with: what became of the run, and how long each step and barrier took. */
export function runSummary(
  { service, lock, report }: DeployContext,
  outcome: string,
  withDeploy: boolean,
): Record<string, unknown> {
  const { deploy } = lock.deploy;
  const common = { outcome, service, epoch: lock.epoch, steps: report.steps };
  if (deploy === null || !withDeploy) return common;
  const { id, version, step } = deploy;
  return { ...common, version, id, step, hosts: countHosts(deploy), failures: failedHosts(deploy) };
}

/** How many hosts are where. */
export function countHosts({ hosts }: Pick<RunningDeploy, "hosts">): Record<string, number> {
  const all = { total: 0, waiting: 0, ordered: 0, done: 0, failed: 0, excluded: 0 };
  for (const { step } of Object.values(hosts)) {
    all.total++;
    all[step]++;
  }
  return all;
}

export function failedHosts({ hosts }: Pick<RunningDeploy, "hosts">): FailedHost[] {
  return Object.entries(hosts).flatMap(([host, { step, slot, error }]) =>
    step === "failed" ? [{ host, slot, code: error?.code ?? "UNKNOWN", message: error?.message ?? "" }] : [],
  );
}
