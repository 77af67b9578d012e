import type { CommandOutput } from "../../terminal/output.ts";
import { routesDuring, routesOffered, routesSwitched } from "../decisions/wanted-routes.ts";
import type { Begun } from "../run/verbs/begin-deploy.ts";
import { listSome } from "./deploy-report.ts";
import type { FleetView } from "../run/under-lock.ts";

/** Prints what a deploy would do. */
export function showPlan(
  output: CommandOutput,
  service: string,
  { deploy, draft }: Begun,
  { edges, routes }: FleetView,
): void {
  const { version, goal, from, plan } = deploy;
  const waited = edges.all.map(({ edge }) => edge).filter((edge) => !plan.withoutEdges.includes(edge));
  const absent = draft.hosts.filter((host) => host.absent).map(({ host }) => host);
  const during = routesDuring(deploy);
  const offered = routesOffered(deploy);
  const steps = [
    ...(during && routes
      ? [
          { step: "withdrawing", routes: brief(during) },
          { step: "draining", edges: waited },
        ]
      : []),
    { step: "installing", waves: draft.waves.length, hosts: draft.hosts.length },
    ...(offered
      ? [
          { step: "offering", routes: brief(offered) },
          { step: "waiting", edges: waited },
        ]
      : []),
    ...(goal === "promote" ? [{ step: "promoting", routes: brief(routesSwitched(deploy)), edges: waited }] : []),
  ];
  const waves = draft.waves.map((hosts) => hosts.map((host) => planned(draft.hosts, host)));
  output.object({
    ...{ outcome: "planned", service, version, goal, from: { default: from.default, serving: from.serving } },
    ...{ withdrawn: draft.withdrawn, steps, waves, edges: waited, absent, excludeAbsent: plan.excludeAbsent },
  });
  output.line(
    `${service}: ${from.default ?? "nothing"} is the default, ${version} would be deployed; nothing was changed`,
  );
  for (const each of steps) output.line(`  ${each.step.padEnd(12)} ${stepText(each)}`);
  for (const [number, hosts] of waves.entries()) {
    output.line(`  wave ${number + 1}: ${listSome(hosts.map(hostText))}`);
  }
  output.line(`  edges waited for: ${listSome(waited) || "none is known"}`);
  if (absent.length > 0)
    output.line(
      `  not reporting, ${plan.excludeAbsent ? "and not waited for" : "and waited for"}: ${listSome(absent)}`,
    );
}

function brief({ default: version, serving }: { default: string; serving: readonly string[] }) {
  return { default: version, serving };
}

function planned(hosts: Begun["draft"]["hosts"], name: string) {
  const found = hosts.find(({ host }) => host === name);
  return { host: name, slot: found?.slot ?? "-", was: found?.was ?? null, base: found?.base ?? null };
}

function hostText({ host, slot, was, base }: ReturnType<typeof planned>): string {
  const first = base === null ? "" : `, the default into ${base.slot} first`;
  return `${host} slot ${slot}${was === null ? "" : ` (holds ${was})`}${first}`;
}

type Planned = {
  routes?: { default: string; serving: readonly string[] };
  edges?: string[];
  waves?: number;
  hosts?: number;
};

function stepText({ routes, edges, waves, hosts }: Planned): string {
  const parts = [
    routes && `routes: default ${routes.default}, serving ${routes.serving.join(" ")}`,
    edges && `every edge acknowledges (${edges.length})`,
    waves !== undefined && `${hosts} hosts in ${waves} waves`,
  ];
  return parts.filter(Boolean).join("; ");
}
