import { abortable } from "../../../daemon/abortable.ts";
import { type ProcessIdentity, processStat } from "../../os/process.ts";
import type { WorkerSpec } from "../process/spec.ts";
import type { Worker } from "../process/worker.ts";
import { endTree, signalExactly } from "./end-tree.ts";
import { findOrphans } from "./find-orphans.ts";

/** The pause between two looks at what workers keep open, where looks are quick. */
const SAMPLE_MS = 100;

/** Connections that workers keep open after their stop signal. */
export interface KeptSeen {
  open: number;
  /** No process listens any more: the workers have begun to end. Otherwise they hang, or ignore the signal. */
  heeded: boolean;
  /** When the next look is due. */
  restMs: number;
}

const NOTHING_KEPT: KeptSeen = { open: 0, heeded: false, restMs: 0 };

/** How long connections that workers keep open are waited for. */
export interface ExtendedGrace {
  /** Monotonic. */
  untilMs: number;
  /** It is over at once. */
  hurry: AbortSignal;
  onWaiting(open: number): void;
}

interface Kept {
  look(): Promise<KeptSeen>;
  patience: ExtendedGrace | undefined;
}

/**
 * Ends every process of a slot: the stop signal, a grace, SIGKILL to what is left of the tree.
 * @param living its workers; those that end leave the set
 * @param departed workers that ended, and may have left something
 * @param onSignalled called when all of them have got the stop signal
 * @param kept what workers keep open after that. They get more than the grace for it, if there is patience.
 * @returns how many of these connections were cut, with workers that were killed
 * @throws StopFailedError naming the processes that do not end
 */
export async function endAll(
  { slot, token, config: { app }, cgroup }: WorkerSpec,
  living: ReadonlySet<Worker>,
  departed: readonly ProcessIdentity[],
  onSignalled: () => void,
  kept: Kept,
): Promise<number> {
  const signal = app.stop_signal as NodeJS.Signals;
  const leaders = [...[...living].map((worker) => worker.identity), ...departed];
  const groups = new Set(leaders.map(({ pid }) => pid));
  for (const worker of living) worker.signal(signal);
  // Descendants that left their worker's process group get the signal as well.
  for (const identity of findOrphans(token, leaders, cgroup)) {
    if (!groups.has(processStat(identity.pid)?.group ?? 0)) signalExactly(identity, signal);
  }
  onSignalled();
  const graceEnd = performance.now() + app.stop_grace_ms;
  const ended = allEnded(living);
  let cut = 0;
  if (!(await within(ended, app.stop_grace_ms))) {
    cut = await untilClosed(ended, kept);
    for (const worker of living) worker.signal("SIGKILL");
  }
  await endTree({ slot, token, leaders, cgroup }, graceEnd - performance.now());
  for (const worker of living) worker.observe();
  await ended;
  return cut;
}

/**
 * Waits while workers keep connections open, for as long as there is patience. A server closes its idle connections
 * when it is told to end; what it keeps is in use, even if nothing moves: WebSockets, streams.
 * @returns how many are still open; 0 where the workers have ended
 */
async function untilClosed(ended: Promise<void>, { look, patience }: Kept): Promise<number> {
  for (;;) {
    // Where the kernel can't be asked, nothing is waited for: the end of the processes must not depend on it.
    const { open, heeded, restMs } = await look().catch(() => NOTHING_KEPT);
    const over = !patience || patience.hurry.aborted || performance.now() >= patience.untilMs;
    if (open === 0 || over || !heeded) return open;
    patience.onWaiting(open);
    const leftMs = patience.untilMs - performance.now();
    if (await within(ended, Math.max(SAMPLE_MS, Math.min(restMs, leftMs)), patience.hurry)) return 0;
  }
}

async function within(done: Promise<void>, ms: number, hurry?: AbortSignal): Promise<boolean> {
  const bound = AbortSignal.timeout(Math.ceil(ms));
  return abortable(done, hurry ? AbortSignal.any([bound, hurry]) : bound).then(
    () => true,
    () => false,
  );
}

async function allEnded(living: ReadonlySet<Worker>): Promise<void> {
  while (living.size > 0) await Promise.all([...living].map((worker) => worker.whenEnded()));
}
