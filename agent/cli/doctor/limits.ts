import { readFileSync } from "node:fs";
import { type Check, ok, warn } from "./check.ts";

const ENOUGH_FILES = 4096;
const FILES_PER_WORKER = 64;

/** The open files limit: the agent's if it runs, otherwise this process's. */
export function checkOpenFiles(workers: number, agentPid: number | null): Check {
  const name = "open files";
  const ofAgent = agentPid === null ? null : openFilesLimit(`/proc/${agentPid}/limits`);
  const limit = ofAgent ?? openFilesLimit("/proc/self/limits");
  const whose = ofAgent === null ? "in this shell" : "in the agent";
  if (limit === null) return warn(name, "the limit can't be read", "check that /proc is mounted");
  const needed = Math.max(ENOUGH_FILES, workers * FILES_PER_WORKER);
  const found = `${limit} allowed ${whose}`;
  if (limit >= needed) return ok(name, found);
  return warn(name, `${found}, fewer than ${needed}`, `set LimitNOFILE=${needed} or more in slotd's unit`);
}

/** The soft limit in a file in the format of /proc/PID/limits, proc(5); null if it can't be read. */
export function openFilesLimit(path: string): number | null {
  try {
    const [, soft] = /^Max open files\s+(\S+)/m.exec(readFileSync(path, "utf8")) ?? [];
    return soft === undefined ? null : soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return null;
  }
}
