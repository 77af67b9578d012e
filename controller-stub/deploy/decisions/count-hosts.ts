import type { HostStep, RunningDeploy } from "../../../protocol/deploy.ts";
import type { FailedHost } from "../deploy-errors.ts";

export type HostCounts = Record<HostStep | "total", number>;

/** How many hosts are in which step. */
export function countHosts({ hosts }: Pick<RunningDeploy, "hosts">): HostCounts {
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
