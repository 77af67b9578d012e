import type { Deploy } from "../../../protocol/deploy.ts";
import { countHosts, failedHosts, type HostCounts } from "../decisions/count-hosts.ts";
import { ruleOf } from "../decisions/steps.ts";
import type { DeployContext } from "./deploy-context.ts";

/** How a run that succeeded ends. */
export interface RunResult {
  /** The last change of the record, written as the lock is released. */
  change?: (record: Deploy) => Deploy;
  outcome: string;
  text: string;
  /** More for `--json`. */
  facts?: Record<string, unknown>;
}

/** The result of a deploy's run, from the record as its last change leaves it. */
export function deployResult({ lock, service }: DeployContext, change: (record: Deploy) => Deploy): RunResult {
  const { deploy } = change(lock.deploy);
  if (deploy === null) return { change, outcome: "done", text: `${service}: there was nothing to do` };
  const { step, version } = deploy;
  const text = ruleOf(deploy).conclude?.(deploy, service, onHosts(countHosts(deploy)));
  return {
    change,
    outcome: step,
    text: `${text ?? `${service} ${version} is in step ${step}`}, epoch ${lock.epoch}`,
  };
}

function onHosts({ done, failed, excluded }: HostCounts): string {
  const rest = [failed > 0 && `${failed} failed`, excluded > 0 && `${excluded} not waited for`].filter(Boolean);
  return `on ${done} ${done === 1 ? "host" : "hosts"}${rest.length > 0 ? ` (${rest.join(", ")})` : ""}`;
}

/**
 * What `--json` ends with: what became of the run, and how long each step and barrier took.
 * @param withDeploy whether the run worked on the recorded deploy
 */
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
