import { setTimeout as sleep } from "node:timers/promises";

/**
 * How long a test waits for an event that must come. It bounds the wait where the event does not come, and says nothing
 * about speed: on a busy machine everything takes a while.
 */
export const PATIENCE_MS = 60_000;

/**
 * Waits until something holds, and returns it. What is not true in time fails with what was waited for, and the last
 * thing seen.
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  { timeoutMs = PATIENCE_MS, everyMs = 20 } = {},
): Promise<NonNullable<T>> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen as NonNullable<T>;
      last = seen;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`not in ${timeoutMs} ms: ${what}; last seen: ${String(last)}`);
    await sleep(everyMs);
  }
}
