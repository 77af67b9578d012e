import { setTimeout as sleep } from "node:timers/promises";
import type { DrainRecord } from "../../protocol/host-status.ts";
import type { DrainClause } from "../../protocol/states.ts";
import type { ConnectionCount } from "./in-flight.ts";
import type { Mark } from "./mark.ts";
import { type AcknowledgingEdges, missingOf, untilAcked } from "./until-acked.ts";

/** How often the kernel is asked while requests are waited for. */
const SAMPLE_MS = 20;
/** A forced drain gives the withdrawal this long to get out, and no more. */
const FORCED_WITHDRAW_MS = 1_000;

export interface DrainOptions {
  version: string;
  /** Takes the slot out of the serverset; resolves when the registry has that. */
  withdraw(signal: AbortSignal): Promise<Mark>;
  /** Connections on the slot's port, and those of them with a request in flight. */
  count(): ConnectionCount;
  edges: AcknowledgingEdges;
  /** How long edges may take to acknowledge the withdrawal. */
  edgesTimeoutMs: number;
  /** How long readers of the serverset have to see it where there is no edge that could acknowledge. */
  pauseMs: number;
  timeoutMs: number;
  /**
   * How long the withdrawal may take to reach the bus; unbounded where a bus that is away must not take traffic away.
   */
  withdrawTimeoutMs?: number;
  /** Wait for nothing, for this reason. */
  forced?: string | undefined;
  signal: AbortSignal;
  onProgress(progress: DrainProgress): void;
}

/** What a drain waits for, and how far that is: edges that have acknowledged, or connections without a request. */
export interface DrainProgress {
  waitingFor: "withdrawal" | "edges" | "requests";
  done: number;
  total: number;
}

/** What ended the wait for the edges, and which of them had not acknowledged. */
interface EdgesSeen {
  clause: DrainClause;
  missing?: string[];
}

/**
 * Waits until nobody is using a version: withdraw, wait until the edges run with that, then until no connection has a
 * request in flight. Nothing is signalled here. The record says what ended each wait.
 * @throws the signal's reason if the drain was cancelled.
 */
export async function drain(options: DrainOptions): Promise<DrainRecord> {
  const { version, count, forced } = options;
  const startedAt = new Date().toISOString();
  const begin = performance.now();
  const record = (
    { clause: edges, missing = [] }: EdgesSeen,
    idle: DrainClause,
    { open, inFlight }: ConnectionCount,
    mark: Mark | undefined,
  ): DrainRecord => ({
    version,
    startedAt,
    durationMs: Math.round(performance.now() - begin),
    // Unwrapped for people, who compare it with what edges report.
    ...(mark && { revision: mark }),
    edges,
    ...(missing.length > 0 && { missingEdges: missing }),
    idle,
    idleConnections: open - inFlight,
    cutRequests: inFlight,
    ...(forced !== undefined && { reason: forced }),
  });

  options.onProgress(connections("withdrawal", count()));
  const mark = await withdraw(options);
  if (forced !== undefined) return record({ clause: "forced" }, "forced", count(), mark);

  const edges = await untilSeen(options, mark);
  const [idle, last] = await untilIdle(options);
  return record(edges, idle, last, mark);
}

function connections(waitingFor: DrainProgress["waitingFor"], { open, inFlight }: ConnectionCount): DrainProgress {
  return { waitingFor, done: open - inFlight, total: open };
}

/** Waits until the edges run with the withdrawal, or, where there is none, for the pause. */
async function untilSeen(options: DrainOptions, mark: Mark | undefined): Promise<EdgesSeen> {
  const { edges, edgesTimeoutMs, pauseMs, withdrawTimeoutMs, signal, onProgress } = options;
  // Nobody could see what the bus did not take.
  if (mark === undefined) return { clause: "timeout", missing: missingOf(edges, mark) };
  const began = performance.now();
  onProgress({ waitingFor: "edges", done: 0, total: 0 });
  const end = await untilAcked({
    edges,
    mark,
    timeoutMs: edgesTimeoutMs,
    hurried: withdrawTimeoutMs !== undefined,
    signal,
    onProgress: (done, total) => onProgress({ waitingFor: "edges", done, total }),
  });
  if (end.clause !== "none") return end;
  const leftMs = Math.max(0, pauseMs - (performance.now() - began));
  await sleep(leftMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  return { clause: "paused" };
}

/** The mark of the withdrawal, or undefined where the bus did not take it within its bound. */
async function withdraw(options: DrainOptions): Promise<Mark | undefined> {
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
    onProgress(connections("requests", now));
    await sleep(SAMPLE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
