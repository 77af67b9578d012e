import { setTimeout as sleep } from "node:timers/promises";
import { SlotctlInterruptedError } from "../errors.ts";

const INTERVAL_MS = 250;

/**
 * Calls `ask` repeatedly until it returns a value.
 * @throws SlotctlInterruptedError with the message `left` if the signal aborts first.
 */
export async function poll<T>(signal: AbortSignal, left: string, ask: () => Promise<T | undefined>): Promise<T> {
  try {
    for (;;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      await sleep(INTERVAL_MS, undefined, { signal });
    }
  } catch (error) {
    throw signal.aborted ? new SlotctlInterruptedError(left, { cause: error }) : error;
  }
}
