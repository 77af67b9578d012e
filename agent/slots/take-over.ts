import { notifyDirectory } from "../config/notify-paths.ts";
import { environment } from "../os/process.ts";
import { endTree } from "../workers/end/end-tree.ts";
import type { Worker } from "../workers/process/worker.ts";
import { removeStaleNotifyFiles } from "../workers/watch/worker-notify.ts";
import type { SlotDependencies } from "./dependencies.ts";
import { findLeftovers } from "./find-leftovers.ts";
import { type SlotAddress, SlotSocket } from "./slot-socket.ts";

export interface TakenOver {
  /** Living workers of the slot's version. */
  workers: Worker[];
  /** The socket that they share; null if there are none. */
  socket: SlotSocket | null;
  /** A socket that the service manager kept and no worker has. Its queue may hold connections. */
  spare: SlotSocket | null;
}

/**
 * Finds the workers that an earlier agent left in a slot, and ends everything else that it left there.
 * @param version of the workers to take over; null: none
 */
export async function takeOverWorkers(
  deps: SlotDependencies,
  address: SlotAddress,
  version: string | null,
): Promise<TakenOver> {
  const { name: slot, token, config, log, record } = deps;
  const stored = SlotSocket.fromStore(address);
  const { workers, strays, socket } = findLeftovers(token, version, address, record.current.workers, stored);
  if (strays.length > 0) {
    log.warn({ pids: strays.map(({ pid }) => pid) }, "ending processes that an earlier agent left");
    const signal = config.app.stop_signal as NodeJS.Signals;
    await endTree({ slot, token, leaders: [], cgroup: null, only: strays, signal }, config.app.stop_grace_ms);
  }
  const environments = workers.map(({ pid }) => environment(pid) ?? new Map());
  removeStaleNotifyFiles(notifyDirectory(config), slot, environments);
  return { workers, socket, spare: socket === stored ? null : stored };
}
