import { setTimeout as sleep } from "node:timers/promises";
import type { DrainRecord } from "../../protocol/host-status.ts";
import type { DrainClause } from "../../protocol/states.ts";
import type { Mark } from "./mark.ts";
import { type AcknowledgingEdges, missingOf, untilAcked } from "./until-acked.ts";

/** The pause between two looks at the connections while requests are waited for, where looks are quick. */
const SAMPLE_MS = 20;
/** A forced drain gives the withdrawal this long to get out, and no more. */
const FORCED_WITHDRAW_MS = 1_000;

/** The connections on a slot's port at one look. */
export interface ConnectionsSeen {
  open: number;
  /** Those with a request in flight. */
  busy: number;
  /** Those of them that nobody accepts, and that wait for nothing. */
  unaccepted: number;
  /** When the next look is due: looks at many connections take a while. */
  restMs: number;
}

export const NO_CONNECTIONS: ConnectionsSeen = { open: 0, busy: 0, unaccepted: 0, restMs: 0 };

export interface DrainOptions {
  version: string;
  /** Takes the slot out of the serverset; resolves when the registry has that. */
  withdraw(signal: AbortSignal): Promise<Mark>;
  look(): Promise<ConnectionsSeen>;
  edges: AcknowledgingEdges;
  /** How long edges may take to acknowledge the withdrawal. */
  edgesTimeoutMs: number;
  /** How long readers of the serverset have to see it where there is no edge that could acknowledge. */
  pauseMs: number;
  timeoutMs: number;
  /** Whether to wait until every connection is closed, not only until none has a request. */
  untilClosed: boolean;
  /**
   * How long the withdrawal may take to reach the bus; unbounded where a bus that is away must not take traffic away.
   */
  withdrawTimeoutMs?: number;
  /** Wait for nothing, for this reason. */
  forced?: string | undefined;
  signal: AbortSignal;
  onProgress(progress: DrainProgress): void;
}

/**
 * What a drain waits for, and how far that is: edges that have acknowledged, connections without a request, or none at
 * all.
 */
export interface DrainProgress {
  waitingFor: "withdrawal" | "edges" | "requests" | "connections";
  done: number;
  total: number;
}

/** What ended the wait for the edges, and which of them had not acknowledged. */
interface EdgesSeen {
  clause: DrainClause;
  missing?: string[];
}

export interface Drained {
  record: DrainRecord;
  /** Until when upgraded connections may live on, monotonic: the time for requests counts for them as well. */
  patientUntilMs: number;
}

/**
 * Waits until nobody is using a version: withdraw, wait until the edges run with that, then until no connection has a
 * request in flight. Nothing is signalled here. The record says what ended each wait.
 * @throws the signal's reason if the drain was cancelled.
 */
export async function drain(options: DrainOptions): Promise<Drained> {
  const { version, look, forced } = options;
  const startedAt = new Date().toISOString();
  const begin = performance.now();
  const record = (
    { clause: edges, missing = [] }: EdgesSeen,
    idle: DrainClause,
    { open, busy }: ConnectionsSeen,
    mark: Mark | undefined,
    // What an app with upgraded connections has kept until the end is no idle connection.
    cutUpgraded = options.untilClosed && idle !== "idle" ? open - busy : 0,
  ): DrainRecord => ({
    version,
    startedAt,
    durationMs: Math.round(performance.now() - begin),
    // Unwrapped for people, who compare it with what edges report.
    ...(mark && { revision: mark }),
    edges,
    ...(missing.length > 0 && { missingEdges: missing }),
    idle,
    idleConnections: open - busy - cutUpgraded,
    cutUpgraded,
    cutRequests: busy,
    ...(forced !== undefined && { reason: forced }),
  });

  options.onProgress({ waitingFor: "withdrawal", done: 0, total: 0 });
  const mark = await withdraw(options);
  if (forced !== undefined) {
    const patientUntilMs = performance.now();
    return { record: record({ clause: "forced" }, "forced", await look(), mark), patientUntilMs };
  }
  const edges = await untilSeen(options, mark);
  const patientUntilMs = performance.now() + options.timeoutMs;
  const [idle, last] = await untilIdle(options, patientUntilMs);
  return { record: record(edges, idle, last, mark), patientUntilMs };
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
 * Two looks in a row that show nothing to wait for: a request may just be between the queue and the app.
 * @returns what ended the wait, and the look that did
 */
async function untilIdle(
  { look, untilClosed, signal, onProgress }: DrainOptions,
  endMs: number,
): Promise<["idle" | "unaccepted" | "timeout", ConnectionsSeen]> {
  for (let quiet = 0; ; ) {
    signal.throwIfAborted();
    const seen = await look();
    const left = untilClosed ? seen.open : seen.busy;
    quiet = left === seen.unaccepted ? quiet + 1 : 0;
    if (quiet === 2) return [left === 0 ? "idle" : "unaccepted", seen];
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) return ["timeout", seen];
    onProgress({ waitingFor: untilClosed ? "connections" : "requests", done: seen.open - left, total: seen.open });
    const pauseMs = Math.max(SAMPLE_MS, Math.min(seen.restMs, leftMs));
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
