/**
 * Imported into an agent before all else: watches the delay of its event loop. At SIGWINCH it writes what it saw since
 * the last time to the file that its own address names (`?to=`), and begins anew. Times are in ms, and count the
 * interval of 2 ms itself.
 */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface LoopDelay {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  samples: number;
}

const RESOLUTION_MS = 2;
const NS_PER_MS = 1e6;
const file = new URL(import.meta.url).searchParams.get("to");

if (file !== null) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  process.on("SIGWINCH", () => {
    const { max, count: samples } = histogram;
    const at = (percent: number) => histogram.percentile(percent) / NS_PER_MS;
    const seen: LoopDelay = { p50Ms: at(50), p99Ms: at(99), maxMs: max / NS_PER_MS, samples };
    writeFileSync(`${file}.new`, JSON.stringify(seen));
    renameSync(`${file}.new`, file);
    histogram.reset();
  });
}
