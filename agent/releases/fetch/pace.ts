import { setTimeout as sleep } from "node:timers/promises";
import type { ReleaseBounds } from "../bounds.ts";

/** Bytes that may pass at once. */
const SLICE_MS = 50;
/** Unused time that may be made up for: timers are late by a millisecond or two. */
const CREDIT_MS = 50;

/**
 * Limits bytes per second for all fetches together, smoothly: at most twice the rate within any 100 ms.
 */
export class Pace {
  readonly sliceBytes: number;
  /** When everything that has passed will be paid for. */
  private paidAt = 0;

  constructor(private readonly bytesPerS: number) {
    this.sliceBytes = Math.max(1, Math.floor((bytesPerS * SLICE_MS) / 1000));
  }

  /** Resolves when so many bytes may pass: a slice at most. @throws the signal's reason. */
  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const from = Math.max(this.paidAt, now - CREDIT_MS);
    this.paidAt = from + (bytes / this.bytesPerS) * 1000;
    if (from <= now) return;
    await sleep(from - now, undefined, { signal }).catch(() => {
      throw signal.reason;
    });
  }
}

const paces = new WeakMap<ReleaseBounds, Pace>();

/** One per set of limits, because both slots may fetch at the same time. Null: unlimited. */
export function paceOf(bounds: ReleaseBounds): Pace | null {
  if (bounds.fetchBytesPerS === null) return null;
  const pace = paces.get(bounds) ?? new Pace(bounds.fetchBytesPerS);
  paces.set(bounds, pace);
  return pace;
}
