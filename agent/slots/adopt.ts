import type { SlotJournal } from "../journal/schema.ts";
import { Listener } from "../os/listener.ts";
import { descriptors, findByToken, isAlive, type ProcessIdentity, processStat } from "../os/process.ts";
import { listenerInode } from "../os/tcp-connections.ts";
import { TOKEN_VARIABLE } from "../workers/spec.ts";
import { Worker } from "../workers/worker.ts";

export interface LeftWorkers {
  /** Workers of the version that the slot holds, each with a number of its own. */
  workers: Worker[];
  /** Other processes of the slot that belong to none of them. */
  strays: ProcessIdentity[];
  /** The socket that the workers share, taken back from one of them. */
  listener: Listener | null;
}

/**
 * What an earlier agent left running of a slot. A process belongs to the slot only if it carries the slot's token; it is a worker
 * only if it leads a process group and is of the version that the slot holds.
 * @param version null where no worker is to be taken over
 */
export function findLeftWorkers(
  token: string,
  version: string | null,
  bind: string,
  port: number,
  journalled: SlotJournal["workers"],
): LeftWorkers {
  const workers = new Map<number, Worker>();
  const strays = new Map<number, ProcessIdentity>();
  const groups = new Map<number, number>();
  for (const { identity, env } of findByToken(TOKEN_VARIABLE, token)) {
    const group = processStat(identity.pid)?.group ?? 0;
    groups.set(identity.pid, group);
    const number = Number(env.get("SLOTD_WORKER"));
    const leads = group === identity.pid && env.get("SLOTD_VERSION") === version && Number.isInteger(number);
    if (!leads || workers.has(number)) {
      strays.set(identity.pid, identity);
      continue;
    }
    const known = journalled.find((entry) => entry.identity.pid === identity.pid && isAlive(entry.identity));
    workers.set(number, Worker.adopt(number, version as string, identity, known?.startedAt ?? Date.now()));
  }
  // A worker's own children are part of it.
  const leaders = new Set([...workers.values()].map((worker) => worker.pid));
  for (const pid of strays.keys()) if (leaders.has(groups.get(pid) ?? 0)) strays.delete(pid);
  return { workers: [...workers.values()], strays: [...strays.values()], listener: takeBack(leaders, bind, port) };
}

function takeBack(pids: Iterable<number>, bind: string, port: number): Listener | null {
  const inode = listenerInode(bind, port);
  if (inode === null) return null;
  for (const pid of pids) {
    for (const [fd, target] of descriptors(pid)) {
      const listener = target === `socket:[${inode}]` ? Listener.fromProcess(pid, fd, port) : null;
      if (listener) return listener;
    }
  }
  return null;
}
