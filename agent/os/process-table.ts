import { allPids, processStat } from "./process.ts";

/** Who started whom, and who is in which process group, at one moment. */
export class ProcessTable {
  private constructor(private readonly stats: ReadonlyMap<number, { parent: number; group: number }>) {}

  static read(): ProcessTable {
    const stats = new Map<number, { parent: number; group: number }>();
    for (const pid of allPids()) {
      const stat = processStat(pid);
      if (stat) stats.set(pid, stat);
    }
    return new ProcessTable(stats);
  }

  /** Some processes, with the groups that they lead, and all that was started by any of these and is not reparented. */
  treeOf(pids: Iterable<number>): number[] {
    const tree = new Set(pids);
    for (let size = -1; size < tree.size; ) {
      size = tree.size;
      for (const [pid, { parent, group }] of this.stats) if (tree.has(parent) || tree.has(group)) tree.add(pid);
    }
    return [...tree];
  }
}
