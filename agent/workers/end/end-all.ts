import { abortable } from "../../../daemon/abortable.ts";
import { type ProcessIdentity, processStat } from "../../os/process.ts";
import type { WorkerSpec } from "../process/spec.ts";
import type { Worker } from "../process/worker.ts";
import { endTree, signalExactly } from "./end-tree.ts";
import { findOrphans } from "./find-orphans.ts";

/**
 * Ends every process of a slot: the stop signal, a grace, SIGKILL to what is left of the tree.
 * @param living its workers; those that end leave the set
 * @param departed workers that ended, and may have left something
 * @param onSignalled called when all of them have got the stop signal
 * @throws StopFailedError naming the processes that do not end
 */
export async function endAll(
  { slot, token, config: { app }, cgroup }: WorkerSpec,
  living: ReadonlySet<Worker>,
  departed: readonly ProcessIdentity[],
  onSignalled: () => void,
): Promise<void> {
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
  await abortable(allEnded(living), AbortSignal.timeout(app.stop_grace_ms)).catch(() => {
    for (const worker of living) worker.signal("SIGKILL");
  });
  await endTree({ slot, token, leaders, cgroup }, graceEnd - performance.now());
  for (const worker of living) worker.observe();
  await allEnded(living);
}

async function allEnded(living: ReadonlySet<Worker>): Promise<void> {
  while (living.size > 0) await Promise.all([...living].map((worker) => worker.whenEnded()));
}
