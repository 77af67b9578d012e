import type { Deploy } from "../../../protocol/deploy.ts";
import type { HostStatus } from "../../../protocol/host-status.ts";
import { type Order, orderVersion } from "../../../protocol/order.ts";
import type { Routes } from "../../../protocol/routes.ts";

export interface VersionFacts {
  routes: Routes | null;
  record: Pick<Deploy, "revisions" | "deploy">;
  statuses: readonly HostStatus[];
  /** All that the bus still has, including earlier ones. */
  orders: readonly Order[];
}

/**
 * Why a version may be on some host or have been served, so that its content must not change; null where neither is so.
 * An order for it counts, unless every host that has taken it up says that it failed.
 */
export function whyKept(version: string, { routes, record, statuses, orders }: VersionFacts): string | null {
  if (routes?.serving.includes(version)) return "it is served";
  if (record.revisions.some((revision) => revision.version === version)) return "it was deployed";
  const slots = statuses.flatMap(({ host, slots: all }) => Object.values(all).map((slot) => ({ host, ...slot })));
  const holder = slots.find((slot) => slot.version === version);
  if (holder) return `${holder.host} holds it`;
  const failed = new Set(
    slots.flatMap(({ order, refused }) => [
      ...(order?.outcome === "failed" || order?.outcome === "refused" ? [order.id] : []),
      ...(refused?.orderId === undefined ? [] : [refused.orderId]),
    ]),
  );
  const pending = slots.find(({ order }) => order?.version === version && !failed.has(order.id));
  if (pending) return `${pending.host} was ordered to install or remove it`;
  const isOpen = (order: Order) =>
    order.action === "install" && orderVersion(order) === version && !failed.has(order.id);
  return orders.some(isOpen) ? "it was ordered, and no host says that it failed" : null;
}
