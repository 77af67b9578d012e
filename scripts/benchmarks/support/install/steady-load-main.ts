/**
 * Sends GET requests at a fixed rate on kept connections. argv: the address, requests per second. Told `take`, it says
 * how the last ones went.
 */
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../statistics.ts";
import type { Latencies } from "./steady-load.ts";

const TIMEOUT_MS = 10_000;

const [url, perSecond] = process.argv.slice(2) as [string, string];
const agent = new Agent({ keepAlive: true });
const periodMs = 1000 / Number(perSecond);
let latencies: number[] = [];
let failed = 0;

process.on("message", () => {
  const at = (share: number) => percentile(latencies, share);
  const seen: Latencies = { requests: latencies.length + failed, failed, p50Ms: at(0.5), p99Ms: at(0.99) };
  latencies = [];
  failed = 0;
  process.send?.(seen);
});
process.on("disconnect", () => process.exit(1));

for (let dueMs = performance.now(); ; dueMs += periodMs) {
  const early = dueMs - performance.now();
  if (early > 0) await sleep(early);
  send();
}

function send(): void {
  const began = performance.now();
  const request = get(url, { agent }, (response) => {
    response.resume();
    response.once("error", () => failed++);
    response.once("end", () => {
      if (response.statusCode === 200) latencies.push(performance.now() - began);
      else failed++;
    });
  });
  request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error("timeout")));
  request.once("error", () => failed++);
}
