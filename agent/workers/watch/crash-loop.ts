import type { Config } from "../../config/schema.ts";
import type { WorkerIndex } from "../worker-index.ts";

/** Counts the ends of a slot's workers that nobody asked for. So many in so long are a verdict, which is not this class's to act on. */
export class CrashLoop {
  /** Monotonic ms. */
  private readonly ends: { number: number; at: number }[] = [];

  constructor(private readonly config: Config["crash_loop"]) {}

  /**
   * Counts an end.
   * @param seats of the workers that are wanted
   * @returns how many there were lately, where that is a loop; else null.
   */
  count(number: number, seats: readonly WorkerIndex[]): number | null {
    const { ends, within_ms } = this.config;
    const now = performance.now();
    this.ends.push({ number, at: now });
    while ((this.ends[0]?.at ?? now) < now - within_ms) this.ends.shift();
    if (this.ends.length < ends * seats.length) return null;
    // As long as a single one of them does not crash again and again, the slot serves.
    const lately = (seat: WorkerIndex) => this.ends.filter((end) => end.number === seat.number).length;
    const loops = seats.every((seat) => seat.failures >= ends || lately(seat) >= ends);
    return loops ? this.ends.length : null;
  }
}
