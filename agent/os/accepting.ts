import { readFileSync } from "node:fs";
import { descriptors } from "./process.ts";

/**
 * Whether a process waits for connections on a listening socket, as the kernel sees it: one of its epoll sets holds that socket
 * (/proc/PID/fdinfo, proc(5)). Node, Go, nginx, uvicorn and the like wait that way.
 * @param inode of the listening socket
 * @returns "no-epoll" where the process waits in another way (select, a blocking accept), so that this tells nothing.
 */
export function isAccepting(pid: number, inode: number): "yes" | "no" | "no-epoll" {
  const open = descriptors(pid);
  const sockets = new Set([...open].filter(([, target]) => target === `socket:[${inode}]`).map(([fd]) => fd));
  let epolls = 0;
  for (const [fd, target] of open) {
    if (target !== "anon_inode:[eventpoll]") continue;
    epolls++;
    let info: string;
    try {
      info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
    } catch {
      continue;
    }
    for (const match of info.matchAll(/^tfd:\s*(\d+)/gm)) if (sockets.has(Number(match[1]))) return "yes";
  }
  return epolls > 0 ? "no" : "no-epoll";
}

/** The inode of one of our own sockets. */
export function socketInode(fd: number): number {
  return Number(/^socket:\[(\d+)\]$/.exec(descriptors(process.pid).get(fd) ?? "")?.[1] ?? 0);
}
