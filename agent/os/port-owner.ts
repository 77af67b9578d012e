import { allPids, commandLine, descriptors } from "./process.ts";
import { listenerInode } from "./tcp-connections.ts";

/** A process that has a listening socket open. */
export interface PortOwner {
  pid: number;
  command: string;
}

/** systemd as PID 1 keeps copies of its services' sockets. */
const SERVICE_MANAGER = 1;

/**
 * The processes that have the socket open that listens on a port. Workers share one, and the service manager may keep
 * it, too. Empty: nothing listens, or nothing that can be seen from here.
 */
export function portOwners(address: string, port: number): PortOwner[] {
  const inode = listenerInode(address, port);
  if (inode === null) return [];
  const target = `socket:[${inode}]`;
  const pids = allPids().filter((candidate) => [...descriptors(candidate).values()].includes(target));
  return pids.map((pid) => ({ pid, command: commandLine(pid) }));
}

/** The one to name in a message: the service manager only if there is no other. Null: none can be seen. */
export function portOwner(address: string, port: number): PortOwner | null {
  const owners = portOwners(address, port);
  return owners.find(({ pid }) => pid !== SERVICE_MANAGER) ?? owners[0] ?? null;
}
