import type { HostProgress } from "../../../../protocol/deploy.ts";
import type { Order } from "../../../../protocol/order.ts";
import { chooseSlots } from "../../decisions/choose-slots.ts";
import { installOrder, isOrderOf } from "../../decisions/draft-orders.ts";
import { slotViews } from "../../decisions/plan.ts";
import { authorOf, type DeployContext, deployOf } from "../deploy-context.ts";
import type { HostTask } from "./rollout.ts";

/** What has yet to be ordered, wave by wave: hosts that are done are left out. */
export function installTasks(context: DeployContext): HostTask[][] {
  const byWave = new Map<number, HostTask[]>();
  for (const [host, progress] of Object.entries(deployOf(context).hosts)) {
    if (progress.step === "done") continue;
    byWave.set(progress.wave, [...(byWave.get(progress.wave) ?? []), installTask(context, host, progress)]);
  }
  return [...byWave].sort(([x], [y]) => x - y).map(([, tasks]) => tasks);
}

function installTask(context: DeployContext, host: string, { step, slot }: HostProgress): HostTask {
  const { id, release } = deployOf(context);
  const awaited = step !== "excluded";
  const before = context.orders.latestOrder(host, slot);
  const base = baseOrder(context, host, slot);
  if ((step === "ordered" || step === "excluded") && isOrderOf(id, before))
    return { host, orders: [...base, { slot, order: before }], awaited, given: true };
  const order = installOrder(authorOf(context), { id, slot, release, role: "previous", before });
  return { host, orders: [...base, { slot, order }], awaited };
}

/** A host that lacks the default version gets it first, in a slot beside that of the new version. */
function baseOrder(context: DeployContext, host: string, target: string): { slot: string; order: Order }[] {
  const { id, version, from } = deployOf(context);
  const release = from.default === null ? undefined : from.releases[from.default];
  const status = context.fleet.statusOf(host);
  if (from.default === null || release === undefined || status === undefined) return [];
  const slots = slotViews(status).filter(({ slot }) => slot !== target);
  if (slots.some((slot) => slot.version === from.default)) return [];
  const choice = chooseSlots(slots, { version: from.default, current: null, serving: [version] });
  if (choice === undefined) return [];
  const { slot } = choice;
  const before = context.orders.latestOrder(host, slot);
  const draft = { id, slot, release, role: "current", purpose: "base", before } as const;
  return [{ slot, order: installOrder(authorOf(context), draft) }];
}
