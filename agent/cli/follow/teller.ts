import type { SlotStatus } from "../../../protocol/host-status.ts";
import { standing } from "../render/standing.ts";
import type { SlotctlSession } from "../session.ts";

const AT_MOST_EVERY_MS = 1_000;

/** Tells how a slot stands as it changes: a new state or step at once, mere numbers once a second. */
export class Teller {
  private told = "";
  private phase = "";
  private toldAtMs = 0;

  constructor(private readonly session: SlotctlSession) {}

  tell(slot: SlotStatus): void {
    const text = standing(slot, this.session.colors);
    const phase = `${slot.state} ${slot.progress?.step}`;
    if (text === this.told || (phase === this.phase && performance.now() - this.toldAtMs < AT_MOST_EVERY_MS)) return;
    this.session.note(text);
    this.told = text;
    this.phase = phase;
    this.toldAtMs = performance.now();
  }
}
