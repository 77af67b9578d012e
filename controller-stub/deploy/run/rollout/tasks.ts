import type { HostProgress } from "../../../../protocol/deploy.ts";
import { ReleaseNotFoundError } from "../../../../protocol/errors.ts";
import type { Order } from "../../../../protocol/order.ts";
import { chooseSlots } from "../../decisions/choose-slots.ts";
import { installOrder, isOrderOf, releaseOf, uninstallOrder } from "../../decisions/draft-orders.ts";
import type { ExpectedMember } from "../../decisions/missing-members.ts";
import { slotViews } from "../../decisions/plan.ts";
import { inGroups, waveSize } from "../../decisions/waves.ts";
import { type DeployContext, deployOf } from "../deploy-context.ts";
import type { HostTask } from "./rollout.ts";

/** What is still to be ordered, wave by wave: hosts that are done are left out. */
export function installTasks(work: DeployContext): HostTask[][] {
  const byWave = new Map<number, HostTask[]>();
  for (const [host, progress] of Object.entries(deployOf(work).hosts)) {
    if (progress.step === "done") continue;
    byWave.set(progress.wave, [...(byWave.get(progress.wave) ?? []), installTask(work, host, progress)]);
  }
  return [...byWave].sort(([x], [y]) => x - y).map(([, tasks]) => tasks);
}

function installTask(work: DeployContext, host: string, { step, slot }: HostProgress): HostTask {
  const { id, release } = deployOf(work);
  const awaited = step !== "excluded";
  const latest = work.orders.latest(host, slot);
  const base = baseOrder(work, host, slot);
  if ((step === "ordered" || step === "excluded") && isOrderOf(id, latest))
    return { host, orders: [...base, { slot, order: latest }], awaited, given: true };
  const order = installOrder(work, { id, host, slot, release, role: "previous" });
  return { host, orders: [...base, { slot, order }], awaited };
}

/** A host that lacks the default version gets it first, beside the slot of the new one. */
function baseOrder(work: DeployContext, host: string, target: string): { slot: string; order: Order }[] {
  const { id, version, from } = deployOf(work);
  const release = from.default === null ? undefined : from.releases[from.default];
  const status = work.fleet.statusOf(host);
  if (from.default === null || release === undefined || status === undefined) return [];
  const slots = slotViews(status).filter(({ slot }) => slot !== target);
  if (slots.some((slot) => slot.version === from.default)) return [];
  const choice = chooseSlots(slots, { version: from.default, current: null, serving: [version] });
  if (choice === undefined) return [];
  const { slot } = choice;
  return [{ slot, order: installOrder(work, { id, host, slot, release, role: "current", purpose: "base" }) }];
}

export interface Restoring {
  waves: HostTask[][];
  /** The slots that edges have to know of before the routes are as they were. */
  expected: ExpectedMember[];
}

/** What a rollback orders on the hosts that the deploy ordered something for. */
export function restoreTasks(work: DeployContext): Restoring {
  const deploy = deployOf(work);
  const { id, version, plan, from } = deploy;
  const expected: ExpectedMember[] = [];
  const tasks = Object.entries(deploy.hosts).map(([host, { step, slot, was }]): HostTask => {
    const awaited = step !== "excluded";
    const release = was === null ? undefined : releaseOf(deploy, was);
    if (was !== null && release === undefined)
      throw new ReleaseNotFoundError(was, `${host}'s slot ${slot}`, "its release is not known any more");
    if (was !== null && release && from.serving.includes(was) && awaited) expected.push({ host, slot, release });
    const latest = work.orders.latest(host, slot);
    if (step === "ordered" && isRestoring(id, latest))
      return { host, orders: [{ slot, order: latest }], awaited, given: true };
    const order = release
      ? installOrder(work, { id, host, slot, release, role: "previous", purpose: "restore" })
      : uninstallOrder(work, { id, slot, version });
    return { host, orders: [{ slot, order }], awaited };
  });
  const waiting = tasks.filter(({ host }) => deploy.hosts[host]?.step !== "done");
  const size = waveSize(plan.wave, tasks.length);
  return { waves: inGroups(waiting, size), expected };
}

function isRestoring(id: string, order: Order | null): order is Order {
  return isOrderOf(id, order) && /:(restore|uninstall)$/.test(order.id);
}
