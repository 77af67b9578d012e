import type { RunningDeploy } from "../../../protocol/deploy.ts";
import type { InstallOrder, Order } from "../../../protocol/order.ts";
import type { Release } from "../../../protocol/release.ts";
import { checkOrder } from "../../orders/check-order.ts";

type Role = NonNullable<InstallOrder["role"]>;

/** What every order of a run says of the run. */
export interface OrderAuthor {
  epoch: number;
  by: string;
  /** RFC 3339. */
  at: string;
}

/** The id of a deploy's order. Every run of the deploy, and every purpose, has ids of its own. */
export function orderId(deployId: string, epoch: number, slot: string, purpose = "install"): string {
  return `${deployId}:${epoch}:${slot}:${purpose}`;
}

/** Whether some run of a deploy gave this order. */
export function isOrderOf(deployId: string, order: Order | null): order is Order {
  return order?.id.startsWith(`${deployId}:`) ?? false;
}

export interface InstallDraft {
  /** Of the deploy. */
  id: string;
  slot: string;
  release: Release;
  role: Role;
  purpose?: string;
  /** The slot's order so far, whose number of workers stays. */
  before: Order | null;
}

/** An order to install a release. */
export function installOrder(author: OrderAuthor, { id, slot, release, role, purpose, before }: InstallDraft): Order {
  const workers = before?.action === "install" && before.workers !== undefined ? { workers: before.workers } : {};
  return checkOrder({ ...header(author, id, slot, purpose), action: "install", release, ...workers, role });
}

export function uninstallOrder(
  author: OrderAuthor,
  { id, slot, version, force }: { id: string; slot: string; version: string; force?: { reason: string } },
): Order {
  return checkOrder({
    ...header(author, id, slot, "uninstall"),
    action: "uninstall",
    version,
    ...(force && { force: true, reason: force.reason }),
  });
}

function header({ epoch, by, at }: OrderAuthor, deployId: string, slot: string, purpose?: string) {
  return { id: orderId(deployId, epoch, slot, purpose), epoch, issuedBy: by, issuedAt: at };
}

/** The release of a version, as far as the deploy knows it. */
export function releaseOf({ release, version, from }: RunningDeploy, wanted: string): Release | undefined {
  return wanted === version ? release : from.releases[wanted];
}
