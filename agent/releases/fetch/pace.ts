import { setTimeout as sleep } from "node:timers/promises";
import type { ReleaseBounds } from "../bounds.ts";

/** What may pass at once. */
const SLICE_MS = 50;
/** How much time that was not used counts: timers are late by a millisecond or two. */
const CREDIT_MS = 50;

/**
 * A bound on bytes a second, for all that pass it together, and smooth: within any 100 ms not more than twice their
 * share.
 */
export class Pace {
  readonly sliceBytes: number;
  /** When all that passed is paid for. */
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

/** One for all fetches under the same bounds, as both slots may fetch at a time. Null: no bound. */
export function paceOf(bounds: ReleaseBounds): Pace | null {
  if (bounds.fetchBytesPerS === null) return null;
  const pace = paces.get(bounds) ?? new Pace(bounds.fetchBytesPerS);
  paces.set(bounds, pace);
  return pace;
}
