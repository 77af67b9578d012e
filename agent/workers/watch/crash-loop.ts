import type { Config } from "../../config/schema.ts";

/** A worker's place in its pool, as this check needs it. */
interface Place {
  readonly number: number;
  /** Ends in a row without having settled. */
  readonly failures: number;
}

/**
 * Counts the ends of a slot's workers that nobody asked for, and tells when they are a crash loop. Acting on that is
 * the caller's part.
 */
export class CrashLoop {
  /** Monotonic ms. */
  private readonly ends: { number: number; at: number }[] = [];

  constructor(private readonly config: Config["crash_loop"]) {}

  /**
   * Counts an end.
   * @param places of the workers that are wanted
   * @returns the number of recent ends where they are a loop; else null.
   */
  count(number: number, places: readonly Place[]): number | null {
    const { ends, within_ms } = this.config;
    const now = performance.now();
    this.ends.push({ number, at: now });
    while ((this.ends[0]?.at ?? now) < now - within_ms) this.ends.shift();
    if (this.ends.length < ends * places.length) return null;
    // As long as a single one of them does not crash again and again, the slot serves.
    const lately = (place: Place) => this.ends.filter((end) => end.number === place.number).length;
    const loops = places.every((place) => place.failures >= ends || lately(place) >= ends);
    return loops ? this.ends.length : null;
  }
}
