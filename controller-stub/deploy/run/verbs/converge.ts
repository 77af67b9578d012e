import { randomUUID } from "node:crypto";
import type { HostStatus } from "../../../../protocol/host-status.ts";
import type { Release } from "../../../../protocol/release.ts";
import type { Routes } from "../../../../protocol/routes.ts";
import { isStale } from "../../../hosts.ts";
import { findRelease } from "../../../publish/releases.ts";
import { installOrder } from "../../decisions/draft-orders.ts";
import type { ExpectedMember } from "../../decisions/missing-members.ts";
import { missingVersions } from "../../decisions/missing-versions.ts";
import { slotViews } from "../../decisions/plan.ts";
import { inGroups, waveSize } from "../../decisions/waves.ts";
import { DeployStateError } from "../../deploy-errors.ts";
import type { WaveOptions } from "../../deploy-options.ts";
import { authorOf, type DeployContext } from "../deploy-context.ts";
import type { FleetView } from "../fleet-view.ts";
import { type HostTask, Rollout } from "../rollout/rollout.ts";
import type { RunResult } from "../run-result.ts";
import { membersBarrier } from "../steps/barriers.ts";
import { chooseHosts } from "./choose-hosts.ts";

export interface ConvergeOptions extends WaveOptions {
  excludeAbsent?: boolean;
}

/** A host, and the served versions that it lacks. */
interface Gap {
  status: HostStatus;
  missing: ReturnType<typeof missingVersions>;
}

/**
 * Orders the served versions onto hosts that lack them. @throws DeployStateError where there are no routes;
 * NoHostsError
 */
export async function convergeHosts(
  context: DeployContext,
  { routes, fleet }: FleetView,
  options: ConvergeOptions,
): Promise<RunResult> {
  const { service, report, events } = context;
  if (routes === null) throw new DeployStateError("NO_DEPLOY", `${service} has no routes: deploy a version first`);
  const hosts = chooseHosts(service, fleet.statuses, { only: options.only ?? [], exclude: options.exclude ?? [] });
  const gaps = hosts
    .map((status): Gap => ({ status, missing: missingVersions(slotViews(status), routes) }))
    .filter(({ missing }) => missing.length > 0);
  const served = routes.serving.join(" and ");
  if (gaps.length === 0)
    return { outcome: "done", text: `every host of ${service} has ${served}`, facts: { hosts: [] } };

  const tasks = await convergeTasks(context, gaps, routes, options);
  const lack = `${tasks.length} ${tasks.length === 1 ? "host lacks" : "hosts lack"} a version of ${served}`;
  report.beginStep("converging", lack);
  const failures = await rollOut(context, tasks, options);
  report.endStep();
  events.send(`${tasks.length} hosts were brought to what the routes say`);
  const names = tasks.map(({ host }) => host);
  return {
    outcome: "done",
    text: `${names.length} hosts have ${served} now`,
    facts: { hosts: names, failures },
  };
}

async function convergeTasks(
  context: DeployContext,
  gaps: readonly Gap[],
  routes: Routes,
  { excludeAbsent = false }: ConvergeOptions,
): Promise<HostTask[]> {
  const { bus, service, orders } = context;
  const releases = new Map<string, Release>();
  for (const version of new Set(gaps.flatMap(({ missing }) => missing.map((each) => each.version))))
    releases.set(version, orders.releaseOf(version) ?? (await findRelease(bus, service, version)));
  const id = `converge-${randomUUID()}`;
  return gaps.map(({ status, missing }): HostTask => {
    const { host } = status;
    const drafts = missing.map(({ slot, version }) => {
      const release = releases.get(version) as Release;
      const role = version === routes.default ? ("current" as const) : ("previous" as const);
      const draft = { id, slot, release, role, before: orders.latestOrder(host, slot) };
      return { slot, order: installOrder(authorOf(context), draft) };
    });
    return { host, orders: drafts, awaited: !(excludeAbsent && isStale(status, Date.now())) };
  });
}

/** @returns the hosts that failed, and were few enough */
async function rollOut(context: DeployContext, tasks: HostTask[], options: ConvergeOptions) {
  const rollout = new Rollout(context, { maxFailures: options.maxFailures, pauseMs: options.pause });
  try {
    await rollout.run(inGroups(tasks, waveSize(options.wave, tasks.length)));
    const failed = new Set(rollout.failures.map(({ host }) => host));
    const done = tasks.filter(({ host, awaited }) => awaited && !failed.has(host));
    const expected = done.flatMap(({ host, orders }) =>
      orders.flatMap(({ slot, order }): ExpectedMember[] =>
        order.action === "install" ? [{ host, slot, release: order.release }] : [],
      ),
    );
    await membersBarrier(context, expected, rollout.signal);
    return rollout.failures;
  } finally {
    rollout.stop();
  }
}
