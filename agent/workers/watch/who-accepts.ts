import { isAccepting } from "../../os/accepting.ts";
import { allPids, processStat } from "../../os/process.ts";

/**
 * The workers that are seen to wait for connections on a listening socket, themselves or by a process of their group.
 * @param inode of the socket
 * @returns their pids. One that is missing waits in a way that can't be seen, or does not.
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
