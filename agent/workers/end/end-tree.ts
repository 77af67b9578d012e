import { setTimeout as sleep } from "node:timers/promises";
import { StopFailedError } from "../../../protocol/errors.ts";
import { commandLine, isAlive, type ProcessIdentity } from "../../os/process.ts";
import { findOrphans } from "./find-orphans.ts";

const POLL_MS = 10;
/** How long a killed process may take to disappear. */
const BURIAL_MS = 5_000;

export interface Tree {
  slot: string;
  /** The slot's token: see `findOrphans`. */
  token: string;
  leaders: readonly ProcessIdentity[];
  /** The slot's control group, where it has one: every process in it belongs to the slot. */
  cgroup: { processes(): ProcessIdentity[]; kill(): boolean } | null;
  /** Only these processes, rather than all that are found. */
  only?: readonly ProcessIdentity[];
  /** Sent to the processes first. */
  signal?: NodeJS.Signals;
}

/**
 * Waits until the processes of a slot, which were signalled before, have ended. When the grace is over, kills what is
 * left: one by one, and only what still is the process that was found.
 * @throws StopFailedError naming the processes that do not end.
 */
export async function endTree({ slot, token, leaders, cgroup, only, signal }: Tree, graceMs: number): Promise<void> {
  const left = () => only?.filter(isAlive) ?? findOrphans(token, leaders, cgroup);
  if (signal) for (const identity of left()) signalExactly(identity, signal);
  const graceEnd = performance.now() + graceMs;
  let rest = left();
  for (; rest.length > 0 && performance.now() < graceEnd; rest = left()) await sleep(POLL_MS);
  const burialEnd = performance.now() + BURIAL_MS;
  for (; rest.length > 0; rest = left()) {
    if (performance.now() > burialEnd) {
      const named = rest.map(({ pid }) => `${pid} (${commandLine(pid)})`).join(", ");
      throw new StopFailedError(slot, `these processes do not end: ${named}`);
    }
    // At once, so that nothing forks away meanwhile; then what is in no group of the slot.
    if (!only) cgroup?.kill();
    for (const identity of rest) signalExactly(identity, "SIGKILL");
    await sleep(POLL_MS);
  }
}

/** Signals a process if it is still that process. */
export function signalExactly(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
