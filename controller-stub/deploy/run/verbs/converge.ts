import { randomUUID } from "node:crypto";
import type { Release } from "../../../../protocol/release.ts";
import type { Routes } from "../../../../protocol/routes.ts";
import { isStale } from "../../../hosts.ts";
import { findRelease } from "../../../publish/releases.ts";
import type { SlotOnHost } from "../../decisions/choose-slots.ts";
import { installOrder } from "../../decisions/draft-orders.ts";
import { slotViews } from "../../decisions/plan.ts";
import { inGroups, waveSize } from "../../decisions/waves.ts";
import { DeployStateError } from "../../deploy-errors.ts";
import type { WaveOptions } from "../../deploy-options.ts";
import { membersBarrier } from "../steps/barriers.ts";
import { chooseHosts } from "./begin-deploy.ts";
import type { DeployContext } from "../deploy-context.ts";
import { type HostTask, Rollout } from "../rollout/rollout.ts";
import type { FleetView, RunResult } from "../under-lock.ts";

/** Which versions a host lacks of those that are served, and the slots for them: the default first. */
export function missingVersions(
  slots: readonly SlotOnHost[],
  { default: current, serving }: Pick<Routes, "default" | "serving">,
): { slot: string; version: string }[] {
  const wanted = [current, ...serving.filter((version) => version !== current)];
  const missing = wanted.filter((version) => !slots.some((slot) => slot.version === version));
  const free = slots
    .filter(({ version }) => version === null || !serving.includes(version))
    .toSorted((x, y) => Number(x.version !== null) - Number(y.version !== null) || (x.slot < y.slot ? -1 : 1));
  return missing.flatMap((version, at) => {
    const slot = free[at]?.slot;
    return slot === undefined ? [] : [{ slot, version }];
  });
}

/** Orders what the routes say onto hosts that lack it. */
export async function convergeHosts(
  work: DeployContext,
  { routes, fleet, orders }: FleetView,
  options: WaveOptions & { excludeAbsent?: boolean },
): Promise<RunResult> {
  const { service, report, bus } = work;
  if (routes === null) throw new DeployStateError("NO_DEPLOY", `${service} has no routes: deploy a version first`);
  const hosts = chooseHosts(service, fleet.statuses, { only: options.only ?? [], exclude: options.exclude ?? [] });
  const gaps = hosts.map((status) => ({ status, missing: missingVersions(slotViews(status), routes) }));
  const open = gaps.filter(({ missing }) => missing.length > 0);
  const served = routes.serving.join(" and ");
  if (open.length === 0)
    return { outcome: "done", text: `every host of ${service} has ${served}`, facts: { hosts: [] } };

  const releases = new Map<string, Release>();
  for (const version of new Set(open.flatMap(({ missing }) => missing.map((each) => each.version))))
    releases.set(version, orders.release(version) ?? (await findRelease(bus, service, version)));
  const id = `converge-${randomUUID()}`;
  const tasks = open.map(({ status: { host, ...status }, missing }): HostTask => {
    const absent = isStale({ host, ...status }, Date.now());
    return {
      host,
      awaited: !(absent && options.excludeAbsent),
      orders: missing.map(({ slot, version }) => {
        const role = version === routes.default ? "current" : "previous";
        return { slot, order: installOrder(work, { id, host, slot, release: releases.get(version) as Release, role }) };
      }),
    };
  });
  const size = waveSize(options.wave, tasks.length);
  report.begin(
    "converging",
    `${tasks.length} ${tasks.length === 1 ? "host lacks" : "hosts lack"} a version of ${served}`,
  );
  const rollout = new Rollout(work, { maxFailures: options.maxFailures, pauseMs: options.pause });
  try {
    await rollout.run(inGroups(tasks, size));
    const failed = new Set(rollout.failures.map(({ host }) => host));
    const expected = tasks
      .filter(({ host, awaited }) => awaited && !failed.has(host))
      .flatMap(({ host, orders: given }) =>
        given.flatMap(({ slot, order }) =>
          order.action === "install" ? [{ host, slot, release: order.release }] : [],
        ),
      );
    await membersBarrier(work, expected, rollout.signal);
  } finally {
    rollout.stop();
  }
  report.end();
  report.event(`${tasks.length} hosts were brought to what the routes say`);
  const names = tasks.map(({ host }) => host);
  return {
    outcome: "done",
    text: `${names.length} hosts have ${served} now`,
    facts: { hosts: names, failures: rollout.failures },
  };
}
