import type { HostStatus } from "../../../protocol/host-status.ts";
import { type Order, orderVersion } from "../../../protocol/order.ts";
import type { Release } from "../../../protocol/release.ts";
import { outcomeOf } from "../../orders/outcome.ts";

/** An order that a slot was given, and the order that the slot had before. */
export interface Ordered {
  slot: string;
  order: Order;
  before: string | undefined;
}

export type HostVerdict = { kind: "waiting" } | { kind: "done" } | { kind: "failed"; code: string; message: string };

const WAITING: HostVerdict = { kind: "waiting" };

/**
 * What became of an order on a host. The outcome that a host reports is not enough: the slot must hold what was
 * ordered, with its digest. A slot that failed after the order was done counts as failed.
 */
export function hostVerdict({ slot, order, before }: Ordered, status: HostStatus | undefined): HostVerdict {
  const verdict = status && outcomeOf({ id: order.id, epoch: order.epoch, slot }, status, before);
  if (status === undefined || verdict === undefined) return WAITING;
  if (verdict.outcome !== "done") {
    const { code, message } = verdict.error ?? { code: verdict.outcome.toUpperCase(), message: "no reason was given" };
    return { kind: "failed", code, message };
  }
  const held = status.slots[slot];
  if (held?.state === "failed") {
    const { code, message } = held.lastError ?? {
      code: "SLOT_FAILED",
      message: "the slot failed without a reason",
    };
    return { kind: "failed", code, message };
  }
  // In other states its workers are being replaced, or start again after the agent did: that is no failure.
  if (held === undefined || order.action === "uninstall") return { kind: "done" };
  if (held.version !== orderVersion(order)) {
    const message = `says that ${orderVersion(order)} is installed, but slot ${slot} holds ${held.version ?? "nothing"}`;
    return { kind: "failed", code: "VERSION_MISMATCH", message };
  }
  if (held.sha256 === null || !isOf(order.release, held.sha256)) {
    const message = `slot ${slot} holds ${held.version} with sha256 ${held.sha256 ?? "(none)"}, not ${order.release.sha256}`;
    return { kind: "failed", code: "DIGEST_MISMATCH", message };
  }
  return { kind: "done" };
}

/** Whether a digest is of one of a release's archives. */
export function isOf(release: Release, sha256: string): boolean {
  return release.sha256 === sha256 || (release.digests?.includes(sha256) ?? false);
}
