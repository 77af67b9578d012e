import { abortable } from "../../daemon/abortable.ts";
import type { Acknowledgement, Mark } from "./mark.ts";

/** The edges as a drain needs them. */
export interface AcknowledgingEdges {
  /** Those with a live lease; null while it could not be read yet who they are. */
  live(): readonly Acknowledgement[] | null;
  /**
   * Whether an edge runs with what the registry had at a mark. An edge whose proxy does not run has applied nothing.
   */
  hasApplied(edge: Acknowledgement, mark: Mark): boolean;
  /** Whether one could be heard. */
  readonly reachable: boolean;
  /** Reads them anew, within a bound. Never rejects. */
  refresh(): Promise<void>;
  /** Resolves when something about them may be new; rejects when the signal is given. */
  changed(signal: AbortSignal): Promise<void>;
}

export interface AckOptions {
  edges: AcknowledgingEdges;
  /** Of the withdrawal. */
  mark: Mark;
  timeoutMs: number;
  /** The bound runs while the bus is away as well: the agent itself is to end. */
  hurried: boolean;
  signal: AbortSignal;
  onProgress(acked: number, live: number): void;
}

/** `none`: there is no edge that could acknowledge, or none any more. */
export type EdgesEnd = { clause: "acked" } | { clause: "none" } | { clause: "timeout"; missing: string[] };

/**
 * Waits until every edge with a live lease runs with a withdrawal. Edges that appear meanwhile are waited for; those
 * whose lease lapses are not. While the bus is away the bound stands still, since an edge that has lost the bus as well
 * goes on sending requests.
 * @throws the signal's reason
 */
export async function untilAcked(options: AckOptions): Promise<EdgesEnd> {
  const { edges, mark, timeoutMs, hurried, signal, onProgress } = options;
  await abortable(edges.refresh(), signal);
  for (let leftMs = timeoutMs; ; ) {
    const began = performance.now();
    const live = edges.live();
    const missing = missingOf(edges, mark);
    if (live?.length === 0) return { clause: "none" };
    if (live && missing.length === 0) return { clause: "acked" };
    if (leftMs <= 0) return { clause: "timeout", missing };
    onProgress((live?.length ?? 0) - missing.length, live?.length ?? 0);
    const runs = hurried || edges.reachable;
    const bounded = runs ? AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(leftMs))]) : signal;
    await edges.changed(bounded).catch(() => signal.throwIfAborted());
    if (runs) leftMs -= performance.now() - began;
  }
}

/** The live edges that do not run with a withdrawal: with none at all, where the registry did not take it. */
export function missingOf(edges: AcknowledgingEdges, mark: Mark | undefined): string[] {
  const live = edges.live() ?? [];
  return live.filter((edge) => mark === undefined || !edges.hasApplied(edge, mark)).map(({ edge }) => edge);
}
