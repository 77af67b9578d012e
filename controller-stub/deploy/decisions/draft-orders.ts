import type { RunningDeploy } from "../../../protocol/deploy.ts";
import type { InstallOrder, Order } from "../../../protocol/order.ts";
import type { Release } from "../../../protocol/release.ts";
import { checkOrder } from "../../orders/put-orders.ts";
import type { DeployContext } from "../run/deploy-context.ts";

type Role = NonNullable<InstallOrder["role"]>;

/** The id of an order that a deploy gives: every run of the deploy, and every purpose, has ids of its own. */
export function orderId(deployId: string, epoch: number, slot: string, purpose = "install"): string {
  return `${deployId}:${epoch}:${slot}:${purpose}`;
}

/** Whether some run of a deploy gave this order. */
export function isOrderOf(deployId: string, order: Order | null): order is Order {
  return order?.id.startsWith(`${deployId}:`) ?? false;
}

/** An order to install a release. A number of workers that the slot was given stays. */
export function installOrder(
  { lock, orders, by }: DeployContext,
  {
    id,
    host,
    slot,
    release,
    role,
    purpose,
  }: { id: string; host: string; slot: string; release: Release; role: Role; purpose?: string },
): Order {
  const before = orders.latest(host, slot);
  const workers = before?.action === "install" && before.workers !== undefined ? { workers: before.workers } : {};
  return checkOrder({
    ...header(id, lock.epoch, by, slot, purpose),
    action: "install",
    release,
    ...workers,
    role,
  });
}

export function uninstallOrder(
  { lock, by }: DeployContext,
  { id, slot, version, force }: { id: string; slot: string; version: string; force?: { reason: string } },
): Order {
  return checkOrder({
    ...header(id, lock.epoch, by, slot, "uninstall"),
    action: "uninstall",
    version,
    ...(force && { force: true, reason: force.reason }),
  });
}

function header(deployId: string, epoch: number, by: string, slot: string, purpose?: string) {
  return { id: orderId(deployId, epoch, slot, purpose), epoch, issuedBy: by, issuedAt: new Date().toISOString() };
}

/** The release of a version, as far as the deploy knows it. */
export function releaseOf({ release, version, from }: RunningDeploy, wanted: string): Release | undefined {
  return wanted === version ? release : from.releases[wanted];
}
