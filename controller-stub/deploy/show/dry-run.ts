import type { RunningDeploy } from "../../../protocol/deploy.ts";
import type { CommandOutput } from "../../terminal/output.ts";
import type { PlannedStep } from "../decisions/deploy-mode.ts";
import type { DeployDraft, PlannedHost } from "../decisions/plan.ts";
import { plannedSteps } from "../decisions/steps.ts";
import { listSome } from "./list-some.ts";

/**
 * Prints what a deploy would do.
 * @param edges the edges that it would wait for
 */
export function showPlan(
  output: CommandOutput,
  service: string,
  { deploy, draft, edges }: { deploy: RunningDeploy; draft: DeployDraft; edges: readonly string[] },
): void {
  const { version, goal, from, plan } = deploy;
  const absent = draft.hosts.filter((host) => host.absent).map(({ host }) => host);
  const steps = plannedSteps(deploy, { waves: draft.waves.length, hosts: draft.hosts.length, edges });
  const waves = draft.waves.map((hosts) => hosts.map((host) => plannedHost(draft.hosts, host)));
  output.object({
    ...{ outcome: "planned", service, version, goal, from: { default: from.default, serving: from.serving } },
    ...{ withdrawn: draft.withdrawn, steps, waves, edges, absent, excludeAbsent: plan.excludeAbsent },
  });
  output.line(
    `${service}: ${from.default ?? "nothing"} is the default, ${version} would be deployed; nothing was changed`,
  );
  for (const each of steps) output.line(`  ${each.step.padEnd(12)} ${stepText(each)}`);
  for (const [number, hosts] of waves.entries()) output.line(`  wave ${number + 1}: ${listSome(hosts.map(hostText))}`);
  output.line(`  edges waited for: ${listSome(edges) || "none is known"}`);
  if (absent.length > 0)
    output.line(`  not reporting, ${plan.excludeAbsent ? "not waited for" : "waited for"}: ${listSome(absent)}`);
}

function plannedHost(hosts: readonly PlannedHost[], name: string) {
  const found = hosts.find(({ host }) => host === name);
  return { host: name, slot: found?.slot ?? "-", was: found?.was ?? null, base: found?.base ?? null };
}

function hostText({ host, slot, was, base }: ReturnType<typeof plannedHost>): string {
  const first = base === null ? "" : `, the default into ${base.slot} first`;
  return `${host} slot ${slot}${was === null ? "" : ` (holds ${was})`}${first}`;
}

function stepText({ routes, edges, waves, hosts }: PlannedStep): string {
  const parts = [
    routes && `routes: default ${routes.default}, serving ${routes.serving.join(" ")}`,
    edges && `every edge acknowledges (${edges.length})`,
    waves !== undefined && `${hosts} hosts in ${waves} waves`,
  ];
  return parts.filter(Boolean).join("; ");
}
