import { allPids, commandLine, descriptors } from "./process.ts";
import { listenerInode } from "./tcp-connections.ts";

/** The process that listens on a port; null if there is none or it belongs to another user. */
export function portOwner(address: string, port: number): { pid: number; command: string } | null {
  const inode = listenerInode(address, port);
  if (inode === null) return null;
  const target = `socket:[${inode}]`;
  const pid = allPids().find((candidate) => [...descriptors(candidate).values()].includes(target));
  return pid === undefined ? null : { pid, command: commandLine(pid) };
}
