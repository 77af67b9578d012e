import { setTimeout as sleep } from "node:timers/promises";
import type { DrainClause, DrainRecord } from "../../protocol/index.ts";
import type { ConnectionCount } from "./in-flight.ts";

/** How often the kernel is asked while requests are waited for. */
const SAMPLE_MS = 20;
/** A forced drain gives the withdrawal this long to get out, and no more. */
const FORCED_WITHDRAW_MS = 1_000;

export interface DrainOptions {
  version: string;
  /** Takes the slot out of the serverset; resolves with the KV revision when the bus has it. */
  withdraw(signal: AbortSignal): Promise<number>;
  /** Connections on the slot's port, and those of them with a request in flight. */
  count(): ConnectionCount;
  pauseMs: number;
  timeoutMs: number;
  /** How long the withdrawal may take to reach the bus; unbounded where a bus that is away must not take traffic away. */
  withdrawTimeoutMs?: number;
  /** Wait for nothing, for this reason. */
  forced?: string | undefined;
  signal: AbortSignal;
  onProgress(waitingFor: "withdrawal" | "edges" | "requests", count: ConnectionCount): void;
}

/**
 * Waits until nobody is using a version: withdraw, let the readers of the serverset see it, then wait until no connection has a
 * request in flight. Nothing is signalled here. The record says what ended each wait.
 * @throws the signal's reason where the drain was taken back.
 */
export async function drain(options: DrainOptions): Promise<DrainRecord> {
  const { version, count, signal, forced } = options;
  const startedAt = new Date().toISOString();
  const begin = performance.now();
  const record = (
    edges: DrainClause,
    idle: DrainClause,
    { open, inFlight }: ConnectionCount,
    revision: number | undefined,
  ): DrainRecord => ({
    version,
    startedAt,
    durationMs: Math.round(performance.now() - begin),
    ...(revision && { revision }),
    edges,
    idle,
    idleConnections: open - inFlight,
    cutRequests: inFlight,
    ...(forced !== undefined && { reason: forced }),
  });

  options.onProgress("withdrawal", count());
  const revision = await withdraw(options);
  if (forced !== undefined) return record("forced", "forced", count(), revision);

  options.onProgress("edges", count());
  if (revision !== undefined) await sleep(options.pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());

  const edges = revision === undefined ? "timeout" : "paused";
  const [idle, last] = await untilIdle(options);
  return record(edges, idle, last, revision);
}

/** The revision of the withdrawal, or undefined where the bus did not take it within its bound. */
async function withdraw(options: DrainOptions): Promise<number | undefined> {
  const boundMs = options.forced === undefined ? options.withdrawTimeoutMs : FORCED_WITHDRAW_MS;
  const bound = boundMs === undefined ? undefined : AbortSignal.timeout(boundMs);
  const signal = bound ? AbortSignal.any([options.signal, bound]) : options.signal;
  try {
    return await options.withdraw(signal);
  } catch (error) {
    options.signal.throwIfAborted();
    if (bound?.aborted) return undefined;
    throw error;
  }
}

/**
 * Two quiet looks in a row: a request may just be between the queue and the app.
 * @returns what ended the wait, and the look that did
 */
async function untilIdle(options: DrainOptions): Promise<["idle" | "timeout", ConnectionCount]> {
  const { count, timeoutMs, signal, onProgress } = options;
  const end = performance.now() + timeoutMs;
  for (let quiet = 0; ; ) {
    signal.throwIfAborted();
    const now = count();
    quiet = now.inFlight === 0 ? quiet + 1 : 0;
    if (quiet === 2) return ["idle", now];
    if (performance.now() >= end) return ["timeout", now];
    onProgress("requests", now);
    await sleep(SAMPLE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
