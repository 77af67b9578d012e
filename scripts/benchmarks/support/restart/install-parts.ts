import type { Release } from "../../../../protocol/release.ts";
import type { Host } from "../../../../test/support/agent/host.ts";
import { LogTail } from "../log-tail.ts";

/** A part of an install in a slot where something serves, in ms after its order. */
export interface Part {
  name: string;
  fromMs: number;
  toMs: number;
}

/** Each is over when the slot comes into this state. */
const ENDS = [
  ["fetching", "draining"],
  ["draining", "stopping"],
  ["stopping", "starting"],
  ["starting", "serving"],
] as const;

/** Installs undisturbed, and tells when that did what. */
export async function timeParts(host: Host, slot: string, release: Release): Promise<Part[]> {
  const log = new LogTail(host.logFile);
  try {
    const orderedMs = performance.timeOrigin + performance.now();
    const id = await host.install(slot, release);
    const parts: Part[] = [];
    let fromMs = 0;
    for (const [name, end] of ENDS) {
      const { atMs } = await log.next((line) => line.slot === slot && line.state === end);
      const toMs = Math.max(fromMs, atMs - orderedMs);
      parts.push({ name, fromMs, toMs });
      fromMs = toMs;
    }
    await host.untilOrder(slot, id);
    return parts;
  } finally {
    log.close();
  }
}

/** In which part of an install the agent was, by what it had logged since the order. */
export function partReached(log: string, slot: string): string {
  // A kill may have cut the last line.
  const lines = log.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
  const last = lines
    .map((line) => JSON.parse(line) as { slot?: string; state?: string; was?: string })
    .findLast((line) => line.slot === slot && line.state !== undefined && line.was !== undefined);
  if (last === undefined) return "fetching";
  return last.state === "serving" ? "done" : (last.state as string);
}
