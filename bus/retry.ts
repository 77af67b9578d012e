import { setTimeout as sleep } from "node:timers/promises";
import { JetStreamApiError } from "@nats-io/jetstream";
import { RequestError, TimeoutError } from "@nats-io/transport-node";
import { BusUnreachableError } from "../protocol/errors.ts";

/** After the loss of a stream's leader, publishing takes 5 s to recover. */
const PATIENCE_MS = 15_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/** JetStream's answers with status 503 that waiting does not fix: it is off, or there is no room. */
const LASTING = [10023, 10039, 10076];

/**
 * Does it again, with growing pauses, while JetStream can't answer for a moment.
 * @throws BusUnreachableError where it still can't after `patienceMs` since the first failure; any other error at once.
 */
export async function persist<T>(
  attempt: () => Promise<T>,
  { where, signal, patienceMs = PATIENCE_MS }: { where: string; signal: AbortSignal; patienceMs?: number },
): Promise<T> {
  let failingSince: number | undefined;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (cause) {
      if (!isTransient(cause)) throw cause;
      failingSince ??= performance.now();
      if (performance.now() - failingSince >= patienceMs) {
        const why = `JetStream failed for ${patienceMs} ms: ${(cause as Error).message}`;
        throw new BusUnreachableError(where, why, { cause });
      }
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Whether the same request may well succeed in a moment. */
export function isTransient(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 503 && !LASTING.includes(error.code);
  if (error instanceof TimeoutError || error instanceof RequestError) return true;
  // A stream without a leader has no responder, which the client takes for JetStream being off. It does not export that
  // class.
  return error instanceof Error && error.name === "JetStreamNotEnabled";
}

/** Whether a compare-and-set lost to another writer. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && (error.code === 10071 || error.code === 10164);
}
