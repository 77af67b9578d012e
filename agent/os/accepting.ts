import { readFileSync } from "node:fs";
import { allPids, descriptors, processStat } from "./process.ts";

/**
 * Whether a process waits for connections on a listening socket, as the kernel sees it: one of its epoll sets holds
 * that socket (/proc/PID/fdinfo, proc(5)). Node, Go, nginx, uvicorn and the like wait that way. A process that waits by
 * select or in a blocking accept can't be told from one that does not wait.
 * @param inode of the listening socket
 */
export function isAccepting(pid: number, inode: number): boolean {
  const open = descriptors(pid);
  const sockets = new Set([...open].filter(([, target]) => target === `socket:[${inode}]`).map(([fd]) => fd));
  if (sockets.size === 0) return false;
  for (const [fd, target] of open) {
    if (target !== "anon_inode:[eventpoll]") continue;
    let info: string;
    try {
      info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
    } catch {
      continue;
    }
    for (const match of info.matchAll(/^tfd:\s*(\d+)/gm)) if (sockets.has(Number(match[1]))) return true;
  }
  return false;
}

/** The inode of one of our own sockets. */
export function socketInode(fd: number): number {
  return Number(/^socket:\[(\d+)\]$/.exec(descriptors(process.pid).get(fd) ?? "")?.[1] ?? 0);
}

/**
 * The workers that are seen to wait for connections on a listening socket, themselves or through a process of their
 * group.
 * @param inode of the socket
 * @returns their pids. A pid that is missing waits in a way that can't be seen, or does not wait.
 */
export function whoAccepts(workers: readonly number[], inode: number): Set<number> {
  const seen = new Set(workers.filter((pid) => isAccepting(pid, inode)));
  const rest = new Set(workers.filter((pid) => !seen.has(pid)));
  if (rest.size === 0) return seen;
  for (const pid of allPids()) {
    const group = processStat(pid)?.group ?? 0;
    if (pid !== group && rest.has(group) && !seen.has(group) && isAccepting(pid, inode)) seen.add(group);
  }
  return seen;
}
