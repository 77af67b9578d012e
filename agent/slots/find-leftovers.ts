import type { SlotJournal } from "../journal/schema.ts";
import { socketInode } from "../os/accepting.ts";
import { Listener } from "../os/listener.ts";
import { descriptors, findByToken, isAlive, type ProcessIdentity, processStat } from "../os/process.ts";
import { listenerInode } from "../os/tcp-connections.ts";
import { TOKEN_VARIABLE } from "../workers/process/spec.ts";
import { Worker } from "../workers/process/worker.ts";

export interface Leftovers {
  /** Workers of the version that the slot holds, each with a number of its own. */
  workers: Worker[];
  /** Processes of the slot that belong to none of them. */
  strays: ProcessIdentity[];
  /** The socket that the workers share. */
  listener: Listener | null;
}

type Found = ReturnType<typeof findByToken>[number] & { group: number };

/** The living processes that carry a slot's token. */
function processesOf(token: string): Found[] {
  return findByToken(TOKEN_VARIABLE, token).map((found) => ({
    ...found,
    group: processStat(found.identity.pid)?.group ?? 0,
  }));
}

/** Whether it is a process that an agent started, and none that one of those started: the launcher gave it its own pid. */
function isLaunched({ identity, env, group }: Found): boolean {
  return group === identity.pid && [undefined, String(identity.pid)].includes(env.get("LISTEN_PID"));
}

/** The version that most of a slot's workers say they are of, for when the journal can't tell. */
export function versionInUse(token: string): string | null {
  const counts = new Map<string, number>();
  for (const found of processesOf(token)) {
    const version = found.env.get("SLOTD_VERSION");
    if (isLaunched(found) && version) counts.set(version, (counts.get(version) ?? 0) + 1);
  }
  return [...counts].sort((x, y) => y[1] - x[1])[0]?.[0] ?? null;
}

/**
 * What an earlier agent left running of a slot. A process belongs to the slot only if it carries the slot's token; it is a worker
 * only if it leads a process group and is of the version that the slot holds.
 * @param version null where no worker is to be taken over
 * @param stored the slot's socket, where the service manager kept it
 */
export function findLeftovers(
  token: string,
  version: string | null,
  address: { bind: string; port: number },
  journalled: SlotJournal["workers"],
  stored: Listener | null,
): Leftovers {
  const workers = new Map<number, Worker>();
  const others: Found[] = [];
  const isKnown = ({ identity }: Found) => journalled.some(({ identity: { pid } }) => pid === identity.pid);
  // Two may be in the same seat, one to relieve the other: the one that was written down has it.
  for (const found of processesOf(token).sort((x, y) => Number(isKnown(y)) - Number(isKnown(x)))) {
    const { identity, env } = found;
    const number = Number(env.get("SLOTD_WORKER"));
    const leads = isLaunched(found) && env.get("SLOTD_VERSION") === version && Number.isInteger(number);
    if (leads && !workers.has(number)) {
      const known = journalled.find((entry) => entry.identity.pid === identity.pid && isAlive(entry.identity));
      workers.set(number, Worker.adopt(number, version as string, identity, known?.startedAt ?? Date.now()));
    } else {
      others.push(found);
    }
  }
  // An app that rewrites its title may have overwritten the environment that the token is read from. It is known by the rest.
  const hidden = journalled.filter(({ number, identity }) => !workers.has(number) && isAlive(identity));
  const shared = stored ? socketInode(stored.fd) : listenerInode(address.bind, address.port);
  for (const { number, identity, startedAt } of version === null ? [] : hidden)
    if (shared !== null && holds(identity.pid, shared))
      workers.set(number, Worker.adopt(number, version as string, identity, startedAt));
  const leaders = new Set([...workers.values()].map((worker) => worker.pid));
  // A worker's own children are part of it, also those that made groups of their own.
  const belongs = ({ group, env }: Found) => leaders.has(group) || leaders.has(Number(env.get("LISTEN_PID")));
  const strays = others.filter((found) => !belongs(found)).map(({ identity }) => identity);
  const listener = holdsIt(leaders, stored) ? stored : takeBack(leaders, address.bind, address.port);
  if (listener) return { workers: [...workers.values()], strays, listener };
  // Without the socket a worker serves nobody.
  return { workers: [], strays: [...strays, ...[...workers.values()].map((worker) => worker.identity)], listener };
}

/** Whether the workers share the socket that the service manager kept. */
function holdsIt(pids: Iterable<number>, stored: Listener | null): boolean {
  if (!stored) return false;
  const inode = socketInode(stored.fd);
  return [...pids].some((pid) => holds(pid, inode));
}

function holds(pid: number, inode: number): boolean {
  return [...descriptors(pid).values()].includes(`socket:[${inode}]`);
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
