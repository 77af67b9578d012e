import type { RunningDeploy } from "../../../protocol/deploy.ts";
import { type Knowledge, recoveredHosts, resumeHosts } from "./resume-hosts.ts";
import { modeOf, ruleOf } from "./steps.ts";

export interface ResumeRequest {
  maxFailures?: number;
  excludeAbsent?: boolean;
  withoutEdge?: string[];
}

/**
 * The record of a deploy that is resumed. Where hosts have to be tried again, it returns to them first: a version is
 * offered to edges, and made the default, only once every host has it. Once users may be on it, hosts that failed stay
 * so and count: only `rollback` leads back.
 */
export function resumedDeploy(deploy: RunningDeploy, known: Knowledge, request: ResumeRequest): RunningDeploy {
  const { maxFailures = deploy.plan.maxFailures, excludeAbsent = false, withoutEdge = [] } = request;
  const { plan } = withoutEdges(deploy, withoutEdge);
  const resumed = {
    ...deploy,
    halted: null,
    plan: { ...plan, maxFailures, excludeAbsent: plan.excludeAbsent || excludeAbsent },
  };
  const { failedHosts } = ruleOf(deploy);
  if (failedHosts === "keep") return { ...resumed, hosts: recoveredHosts(deploy, known) };
  const hosts = resumeHosts(deploy, known, { excludeAbsent });
  const isOpen = Object.values(hosts).some(({ step }) => step === "waiting" || step === "ordered");
  const step = failedHosts === "reinstall" && isOpen ? modeOf(deploy).install : deploy.step;
  return { ...resumed, step, hosts };
}

/** The deploy, waiting no longer for these edges. */
export function withoutEdges(deploy: RunningDeploy, edges: readonly string[] = []): RunningDeploy {
  return { ...deploy, plan: { ...deploy.plan, withoutEdges: [...new Set([...deploy.plan.withoutEdges, ...edges])] } };
}
