import { statfs } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import type { HostStatus } from "../protocol/host-status.ts";

/** Early warnings of the host itself. `memoryUsed` and `stateDiskUsed` are shares of 1. */
export async function hostFigures(stateDirectory: string): Promise<HostStatus["load"]> {
  // Loaded by the one who asks, after what serves was looked at.
  const { default: systeminformation } = await import("systeminformation");
  const [memory, disk] = await Promise.all([systeminformation.mem(), statfs(stateDirectory)]);
  return {
    cores: availableParallelism(),
    load1: loadavg()[0] as number,
    memoryUsed: round(1 - memory.available / memory.total),
    stateDiskUsed: round(1 - disk.bavail / disk.blocks),
  };
}

function round(share: number): number {
  return Math.round(share * 1000) / 1000;
}
