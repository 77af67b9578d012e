import type { DeployPlan, HostProgress } from "../../../protocol/deploy.ts";
import type { HostStatus } from "../../../protocol/host-status.ts";
import type { Routes } from "../../../protocol/routes.ts";
import { isStale } from "../../hosts.ts";
import { PlanError } from "../deploy-errors.ts";
import { chooseSlots, type SlotChoice, type SlotOnHost } from "./choose-slots.ts";
import { currentSlot } from "./current-slot.ts";
import { planWaves } from "./waves.ts";

export interface PlannedHost extends SlotChoice {
  host: string;
  wave: number;
  /** It does not report. */
  absent: boolean;
}

export interface DeployDraft {
  hosts: PlannedHost[];
  waves: string[][];
  /** The versions that leave the routes before anything is replaced. */
  withdrawn: string[];
}

/** The slots of a host that has never reported any. */
const USUAL_SLOTS = ["a", "b"];

/** What each slot of a host held when it last reported. */
export function slotViews(status: HostStatus): SlotOnHost[] {
  const slots = Object.values(status.slots).map(({ slot, version }) => ({ slot, version }));
  return slots.length > 0 ? slots : USUAL_SLOTS.map((slot) => ({ slot, version: null }));
}

/** The same, with the slot marked whose version is current on the host. */
function markedSlots(status: HostStatus): SlotOnHost[] {
  const current = currentSlot(status)?.slot;
  return slotViews(status).map((view) => ({ ...view, isCurrent: view.slot === current }));
}

/**
 * Plans which slot of which host gets the version, in which wave, and which versions leave the routes first.
 * @param fleet all hosts of the service; `statuses` are those that take part
 * @throws PlanError where a host has no slot to give
 */
export function draftDeploy(input: {
  version: string;
  routes: Pick<Routes, "default" | "serving"> | null;
  statuses: readonly HostStatus[];
  fleet: readonly HostStatus[];
  plan: Pick<DeployPlan, "wave" | "canaryStage">;
  now: number;
}): DeployDraft {
  const { version, routes, statuses, fleet, plan, now } = input;
  const current = routes?.default ?? null;
  const serving = routes?.serving ?? [];
  const facts = statuses.map((status) => ({ host: status.host, stage: status.stage, absent: isStale(status, now) }));
  const waves = planWaves(facts, plan);
  const waveOf = new Map(waves.flatMap((wave, number) => wave.map((host) => [host, number] as const)));
  const hosts = statuses.map((status, at): PlannedHost => {
    const choice = chooseSlots(routes === null ? markedSlots(status) : slotViews(status), {
      version,
      current,
      serving,
    });
    if (choice === undefined) throw noSlot(status, current);
    return { host: status.host, wave: waveOf.get(status.host) ?? 0, absent: facts[at]?.absent ?? false, ...choice };
  });
  return { hosts, waves, withdrawn: withdrawnBy(hosts, { version, current, serving, fleet }) };
}

function noSlot(status: HostStatus, byRoutes: string | null): PlanError {
  const { host, service } = status;
  const current = byRoutes ?? currentSlot(status)?.version ?? "nothing";
  const slots = slotViews(status).map(({ slot }) => slot);
  if (slots.length < 2)
    return new PlanError(`${host} has only one slot, and that holds ${current}: a deploy needs two`);
  return new PlanError(
    `${host} holds ${current}, the default, in all of its slots (${slots.join(", ")}), and no agent removes the default: on that host, ` +
      `\`slotctl drain ${slots[0]}\`, then \`uninstall ${service} ${current} --slot ${slots[0]} --host ${host} --force --reason TEXT\`; ` +
      `or leave it out with \`--exclude ${host}\``,
  );
}

/**
 * Versions that are replaced on some host, or that no host holds, are withdrawn; the default and the new version never
 * are.
 */
function withdrawnBy(
  hosts: readonly PlannedHost[],
  {
    version,
    current,
    serving,
    fleet,
  }: { version: string; current: string | null; serving: readonly string[]; fleet: readonly HostStatus[] },
): string[] {
  const replaced = new Set(hosts.flatMap(({ was, base }) => [was, base?.was ?? null]));
  const held = new Set(fleet.flatMap((status) => slotViews(status).map((slot) => slot.version)));
  return serving.filter((each) => each !== current && each !== version && (replaced.has(each) || !held.has(each)));
}

/** The hosts' progress as a deploy begins. */
export function initialProgress(
  { hosts }: DeployDraft,
  { excludeAbsent }: Pick<DeployPlan, "excludeAbsent">,
): Record<string, HostProgress> {
  return Object.fromEntries(
    hosts.map(({ host, slot, wave, was, absent }) => [
      host,
      { step: absent && excludeAbsent ? ("excluded" as const) : ("waiting" as const), slot, wave, was },
    ]),
  );
}
