import type { Event } from "../protocol/event.ts";
import type { Slot } from "./slots/slot.ts";

type Report = Pick<Event, "slot" | "kind" | "message"> & Partial<Event>;

/**
 * Slots that are to serve but have no ready worker: their processes run, and they are withdrawn from the serverset.
 * Edges may still send them requests, where nobody else serves the version.
 */
export class UnreadySlots {
  private readonly unready = new Set<string>();

  constructor(private readonly emit: (event: Report) => void) {}

  /** After any change of a slot. Emits an event when it becomes unready, and when it is ready again. */
  look(slot: Slot): void {
    const why = whyUnready(slot);
    const version = slot.runtime.versionFact();
    if (why !== null) {
      if (this.unready.has(slot.name)) return;
      this.unready.add(slot.name);
      this.emit({
        slot: slot.name,
        kind: "worker",
        message: `${why}; the slot is withdrawn`,
        code: "NOT_READY",
        ...version,
      });
    } else if (this.unready.delete(slot.name) && slot.runtime.pool?.ready) {
      this.emit({ slot: slot.name, kind: "worker", message: "workers are ready again", ...version });
    }
  }
}

/** The warning about a slot; null: there is nothing to warn of. */
export function unreadyWarning(slot: Slot): string | null {
  const why = whyUnready(slot);
  if (why === null) return null;
  const by = slot.routedBy;
  const routed = by === null ? "" : `, and may still get requests, being routed to by ${by}`;
  return (
    `slot ${slot.name} is withdrawn${routed}: ${why}; ` +
    `fix the app or what it depends on (slotctl logs ${slot.name}), or deploy another version`
  );
}

function whyUnready({ machine, runtime }: Slot): string | null {
  const { pool, progress } = runtime;
  // After a take-over, nothing is known before the first probes; during a restart, workers come and go.
  if (machine.state !== "serving" || !pool?.health.known || progress !== null || pool.ready > 0) return null;
  return `0 of ${pool.wanted} workers are ready, last probe: ${pool.describeReadiness()}`;
}
