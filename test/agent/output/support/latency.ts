/**
 * Two clients for each address send one request after another for a while; a program too, for use inside of a booted
 * host:
 *   node latency.js MILLISECONDS URL…
 */
import { Agent, get } from "node:http";
import { PATIENCE_MS } from "../../../support/until.ts";

export interface Latency {
  answered: number;
  failures: string[];
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

const CLIENTS = 2;

/** @returns what was seen at each address */
export async function measureLatency(urls: readonly string[], ms: number): Promise<Latency[]> {
  const end = performance.now() + ms;
  return Promise.all(urls.map((url) => measure(url, end)));
}

async function measure(url: string, end: number): Promise<Latency> {
  const tookMs: number[] = [];
  const failures: string[] = [];
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (performance.now() < end) {
      const begin = performance.now();
      try {
        const status = await ask(agent, url);
        if (status !== 200) failures.push(`answered ${status}`);
      } catch (error) {
        failures.push(String(error));
      }
      tookMs.push(performance.now() - begin);
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  tookMs.sort((x, y) => x - y);
  const share = (of: number) => Math.round((tookMs[Math.floor((tookMs.length - 1) * of)] ?? 0) * 10) / 10;
  return {
    answered: tookMs.length - failures.length,
    failures,
    p50Ms: share(0.5),
    p99Ms: share(0.99),
    maxMs: share(1),
  };
}

function ask(agent: Agent, url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = get(url, { agent, timeout: PATIENCE_MS }, (response) => {
      response.resume().once("error", reject);
      response.once("end", () => resolve(response.statusCode ?? 0));
    });
    call.once("error", reject);
    call.once("timeout", () => call.destroy(new Error("no answer in 10 s")));
  });
}

if (process.argv[1] === import.meta.filename) {
  const [ms, ...urls] = process.argv.slice(2);
  console.log(JSON.stringify(await measureLatency(urls, Number(ms))));
}
