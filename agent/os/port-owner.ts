import { allPids, commandLine, descriptors } from "./process.ts";
import { listenerInode } from "./tcp-connections.ts";

/** Which process listens on a port; null where none does or it can't be seen from here. */
export function portOwner(address: string, port: number): { pid: number; command: string } | null {
  const inode = listenerInode(address, port);
  if (inode === null) return null;
  const target = `socket:[${inode}]`;
  const pid = allPids().find((candidate) => [...descriptors(candidate).values()].includes(target));
  return pid === undefined ? null : { pid, command: commandLine(pid) };
}
