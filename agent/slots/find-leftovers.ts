import type { SlotJournal } from "../journal/schema.ts";
import { isAlive, type ProcessIdentity, processStat } from "../os/process.ts";
import { processesWithToken } from "../workers/process/token.ts";
import { Worker } from "../workers/process/worker.ts";
import { holdsSocket, type SlotAddress, SlotSocket } from "./slot-socket.ts";

export interface Leftovers {
  /** Workers of the slot's version, each with a number of its own. */
  workers: Worker[];
  /** Processes of the slot that belong to none of these workers. */
  strays: ProcessIdentity[];
  /** The socket that the workers share. */
  socket: SlotSocket | null;
}

type Found = ReturnType<typeof processesWithToken>[number] & { group: number };

/** The living processes that carry a slot's token. */
function processesOf(token: string): Found[] {
  return processesWithToken(token).map((found) => ({
    ...found,
    group: processStat(found.identity.pid)?.group ?? 0,
  }));
}

/**
 * Whether an agent started the process itself: the launcher gave it its own pid in LISTEN_PID. An app may have removed
 * that variable; a leader of a group without it counts as started by an agent.
 */
function isLaunched({ identity, env, group }: Found): boolean {
  return group === identity.pid && [undefined, String(identity.pid)].includes(env.get("LISTEN_PID"));
}

/** The version that most of a slot's workers run, by their environment; used when the journal is lost. */
export function versionInUse(token: string): string | null {
  const counts = new Map<string, number>();
  for (const found of processesOf(token)) {
    const version = found.env.get("SLOTD_VERSION");
    if (isLaunched(found) && version) counts.set(version, (counts.get(version) ?? 0) + 1);
  }
  return [...counts].sort((x, y) => y[1] - x[1])[0]?.[0] ?? null;
}

/**
 * Finds what an earlier agent left running of a slot. A process belongs to the slot only if it carries the slot's
 * token. It is a worker only if it leads a process group, runs the version that the slot holds, and has the slot's
 * socket, itself or through a process that it started: without the socket it serves nobody.
 * @param version null: no worker is taken over
 * @param stored the slot's socket, if the service manager kept it
 */
export function findLeftovers(
  token: string,
  version: string | null,
  address: SlotAddress,
  journalled: SlotJournal["workers"],
  stored: SlotSocket | null,
): Leftovers {
  const all = processesOf(token);
  // An app that rewrites its title may have overwritten the environment with the token. Such a worker is recognized by
  // the rest.
  const marked = new Set(all.map(({ identity }) => identity.pid));
  const hidden = journalled.filter(({ identity }) => !marked.has(identity.pid) && isAlive(identity));
  const pids = [...marked, ...hidden.map(({ identity }) => identity.pid)];
  const inode = SlotSocket.inodeOf(address, stored, pids);
  const nothing = { workers: [], strays: all.map(({ identity }) => identity), socket: null };
  if (version === null || inode === null) return nothing;

  const holders = all.filter(({ identity }) => holdsSocket(identity.pid, inode));
  const serving = new Set(holders.flatMap(({ group, env }) => [group, Number(env.get("LISTEN_PID"))]));
  const workers = new Map<number, Worker>();
  const isKnown = ({ identity }: Found) => journalled.some(({ identity: { pid } }) => pid === identity.pid);
  // Two may have the same index, a worker and its replacement: the journalled one keeps it.
  for (const found of all.sort((x, y) => Number(isKnown(y)) - Number(isKnown(x)))) {
    const { identity, env } = found;
    const number = Number(env.get("SLOTD_WORKER"));
    const leads = isLaunched(found) && env.get("SLOTD_VERSION") === version && Number.isInteger(number);
    if (!leads || workers.has(number) || !serving.has(identity.pid)) continue;
    const known = journalled.find((entry) => entry.identity.pid === identity.pid && isAlive(entry.identity));
    workers.set(number, Worker.adopt(number, version, identity, known ?? { startedAt: Date.now() }));
  }
  for (const known of hidden) {
    const { number, identity } = known;
    if (!workers.has(number) && holdsSocket(identity.pid, inode))
      workers.set(number, Worker.adopt(number, version, identity, known));
  }

  if (workers.size === 0) return nothing;
  const leaders = new Set([...workers.values()].map((worker) => worker.pid));
  const socket = SlotSocket.ofWorkers(address, stored, inode, [...leaders, ...marked]);
  if (!socket) return nothing;
  // A worker's own children are part of it, also those that made groups of their own.
  const belongs = ({ identity, group, env }: Found) =>
    [identity.pid, group, Number(env.get("LISTEN_PID"))].some((pid) => leaders.has(pid));
  const strays = all.filter((found) => !belongs(found)).map(({ identity }) => identity);
  return { workers: [...workers.values()], strays, socket };
}
