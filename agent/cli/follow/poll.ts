import { setTimeout as sleep } from "node:timers/promises";
import { SlotctlInterruptedError } from "../errors.ts";

const EVERY_MS = 250;

/**
 * Asks again and again until there is an answer.
 * @throws InterruptedError with `left` when the signal came first.
 */
export async function poll<T>(signal: AbortSignal, left: string, ask: () => Promise<T | undefined>): Promise<T> {
  try {
    for (;;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      await sleep(EVERY_MS, undefined, { signal });
    }
  } catch (error) {
    throw signal.aborted ? new SlotctlInterruptedError(left, { cause: error }) : error;
  }
}
