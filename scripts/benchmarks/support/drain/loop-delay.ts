/**
 * Imported into an agent that is measured, as `loop-delay.js?file=PATH`: on SIGWINCH, writes there how long the event
 * loop was held up since the last time.
 */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** In ms. */
export interface LoopDelay {
  p50: number;
  p99: number;
  max: number;
}

const RESOLUTION_MS = 1;
const file = new URL(import.meta.url).searchParams.get("file") as string;
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
histogram.enable();
process.on("SIGWINCH", () => {
  // The timer's own millisecond is part of what is measured.
  const ms = (ns: number) => Math.max(0, ns / 1e6 - RESOLUTION_MS);
  const [p50, p99] = [ms(histogram.percentile(50)), ms(histogram.percentile(99))];
  const delay: LoopDelay = { p50, p99, max: ms(histogram.max) };
  histogram.reset();
  writeFileSync(`${file}.new`, JSON.stringify(delay));
  renameSync(`${file}.new`, file);
});
