import { readFileSync } from "node:fs";
import { allPids, descriptors, processStat } from "./process.ts";

/**
 * Whether a process waits for connections on a listening socket: the kernel lists the socket in one of its epoll sets
 * (/proc/PID/fdinfo, proc(5)). Node, Go, nginx, uvicorn and the like wait that way. Waiting by select or a blocking
 * accept can't be detected.
 * @param inode the listening socket's
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

/** The inode of one of this process's sockets. */
export function socketInode(fd: number): number {
  return Number(/^socket:\[(\d+)\]$/.exec(descriptors(process.pid).get(fd) ?? "")?.[1] ?? 0);
}

/**
 * The workers known to wait for connections on a listening socket, themselves or through a process of their group.
 * @param inode the listening socket's
 * @returns their pids. A missing pid does not wait, or waits in a way that can't be detected.
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
