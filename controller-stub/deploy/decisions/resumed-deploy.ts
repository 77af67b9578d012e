import type { DeployStep, RunningDeploy } from "../../../protocol/deploy.ts";
import { type Knowledge, recoveredHosts, resumeHosts } from "./resume-hosts.ts";

export interface ResumeRequest {
  maxFailures?: number;
  excludeAbsent?: boolean;
  withoutEdge?: string[];
}

/** The steps after the hosts' own, in which the new version is not the default yet. */
const AFTER_INSTALLING: readonly DeployStep[] = ["offering", "waiting", "prepared"];

/**
 * A deploy that goes on. Where a host has to be tried again, it goes on with the hosts: what is offered to edges, and switched to, is
 * what every host has. Once the switch may have begun there is no way back but a rollback: hosts that failed then stay so, and count.
 */
export function resumedDeploy(deploy: RunningDeploy, known: Knowledge, wish: ResumeRequest): RunningDeploy {
  const { maxFailures = deploy.plan.maxFailures, excludeAbsent = false, withoutEdge = [] } = wish;
  const withoutEdges = [...new Set([...deploy.plan.withoutEdges, ...withoutEdge])];
  const plan = { ...deploy.plan, maxFailures, withoutEdges, excludeAbsent: deploy.plan.excludeAbsent || excludeAbsent };
  const isSwitching = deploy.step === "promoting" || (deploy.step === "restoring" && deploy.rollback === "switch");
  const hosts = isSwitching ? recoveredHosts(deploy, known) : resumeHosts(deploy, known, { excludeAbsent });
  if (isSwitching) return { ...deploy, halted: null, plan, hosts };
  const isOpen = Object.values(hosts).some(({ step }) => step === "waiting" || step === "ordered");
  const step = isOpen && AFTER_INSTALLING.includes(deploy.step) ? "installing" : deploy.step;
  return { ...deploy, step, halted: null, plan, hosts };
}
