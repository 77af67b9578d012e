import type { HostStatus, Progress, SlotStatus } from "../../protocol/host-status.ts";

/** A change on a host, as `watch` shows it. */
export interface HostChange {
  at: string;
  host: string;
  slot: string;
  kind: "state" | "progress" | "outcome" | "refused";
  state: SlotStatus["state"];
  version: string | null;
  /** Set with `progress`. */
  progress?: Progress;
  /** Set with `outcome`. */
  orderId?: string;
  outcome?: string;
  /** Set with an outcome that has an error, and with `refused`. */
  error?: { code: string; message: string };
}

/** What changed on a host since its last status; everything, if this is the first. */
export function changesBetween(before: HostStatus | undefined, now: HostStatus): HostChange[] {
  return Object.values(now.slots).flatMap((slot) => {
    const was = before?.slots[slot.slot];
    const about = { host: now.host, slot: slot.slot, at: now.observedAt, state: slot.state };
    const version = slot.version ?? slot.order?.version ?? null;
    const changes: HostChange[] = [];
    if (was?.state !== slot.state || was.version !== slot.version) changes.push({ ...about, version, kind: "state" });
    if (slot.progress && !same(was?.progress, slot.progress)) {
      changes.push({ ...about, version: slot.progress.version ?? version, kind: "progress", progress: slot.progress });
    }
    if (slot.order && (was?.order?.id !== slot.order.id || was.order.outcome !== slot.order.outcome)) {
      const { id, outcome, error } = slot.order;
      changes.push({
        ...about,
        version: slot.order.version,
        kind: "outcome",
        orderId: id,
        outcome,
        ...(error && { error }),
      });
    }
    if (slot.refused && !same(was?.refused, slot.refused)) {
      const { code, message, orderId } = slot.refused;
      changes.push({ ...about, version, kind: "refused", error: { code, message }, ...(orderId && { orderId }) });
    }
    return changes;
  });
}

/** Remembers the last status of each host. */
export function changeTracker(): (status: HostStatus) => HostChange[] {
  const last = new Map<string, HostStatus>();
  return (status) => {
    const changes = changesBetween(last.get(status.host), status);
    last.set(status.host, status);
    return changes;
  };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
