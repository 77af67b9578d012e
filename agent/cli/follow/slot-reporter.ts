import type { SlotStatus } from "../../../protocol/host-status.ts";
import { slotLine } from "../render/slot-line.ts";
import type { SlotctlSession } from "../session.ts";

const MIN_INTERVAL_MS = 1_000;

/** Prints a slot's status as it changes: a new state or step at once, other changes at most once a second. */
export class SlotReporter {
  private reportedText = "";
  private reportedPhase = "";
  private reportedAtMs = 0;

  constructor(private readonly session: SlotctlSession) {}

  report(slot: SlotStatus): void {
    const text = slotLine(slot, this.session.colors);
    const phase = `${slot.state} ${slot.progress?.step}`;
    if (
      text === this.reportedText ||
      (phase === this.reportedPhase && performance.now() - this.reportedAtMs < MIN_INTERVAL_MS)
    )
      return;
    this.session.note(text);
    this.reportedText = text;
    this.reportedPhase = phase;
    this.reportedAtMs = performance.now();
  }
}
