import type { Cgroup } from "../../os/cgroup.ts";
import { privateMemory, privateMemoryBound } from "../../os/process-memory.ts";
import type { ProcessTable } from "../../os/process-table.ts";

/** A worker as its memory is measured. */
interface Measured {
  readonly pid: number;
  readonly cgroup: Cgroup | null;
}

/** The processes of a worker: itself, and what it has started. @param table asked only where it has no cgroup */
export function processesOf({ pid, cgroup }: Measured, table: () => ProcessTable): number[] {
  const pids = cgroup?.pids() ?? [];
  return pids.includes(pid) ? pids : table().treeOf([pid]);
}

/**
 * Bytes of memory of a worker with all that it has started: what these have allocated, and shared memory, each page
 * once; not the page cache, which the kernel takes back when it has to.
 */
export function memoryOf(worker: Measured, table: () => ProcessTable): number {
  return memoryOfCgroup(worker) ?? sum(processesOf(worker, table), privateMemory);
}

/** The same, where it is more than so many bytes; else null, which is found out quickly. */
export function memoryAbove(bytes: number, worker: Measured, table: () => ProcessTable): number | null {
  const known = memoryOfCgroup(worker);
  if (known === null && sum(processesOf(worker, table), privateMemoryBound) <= bytes) return null;
  const memory = known ?? memoryOf(worker, table);
  return memory > bytes ? memory : null;
}

/** Null where the worker has no cgroup of its own, or the kernel does not account memory there. */
function memoryOfCgroup({ cgroup }: Measured): number | null {
  if (!cgroup?.has("memory.stat")) return null;
  return cgroup.count("memory.stat", "anon") + cgroup.count("memory.stat", "shmem");
}

function sum(pids: readonly number[], measure: (pid: number) => number): number {
  return pids.reduce((all, pid) => all + measure(pid), 0);
}
