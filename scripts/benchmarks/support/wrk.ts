import { once } from "node:events";
import { start } from "./processes.ts";
import type { Run } from "./run.ts";

export interface WrkResult {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  requests: number;
  /** Socket errors and answers that were neither 2xx nor 3xx. */
  errors: number;
}

export interface WrkOptions {
  connections: number;
  seconds: number;
  /** A new connection for each request. */
  close?: boolean;
}

/** Puts an address under load from one thread, for a bounded time. */
export async function wrk(run: Run, url: string, { connections, seconds, close }: WrkOptions): Promise<WrkResult> {
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "--timeout", "5s"];
  if (close) args.push("-H", "Connection: close");
  const child = await start(run, "wrk", [...args, url], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [code] = await once(child, "close");
  run.signal.throwIfAborted();
  if (code !== 0) throw new Error(`wrk ended with ${code}: ${text}`);
  return parseWrk(text);
}

export function parseWrk(text: string): WrkResult {
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const result = {
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    requests: number(/(\d+) requests in/),
    p50Ms: latency(text, "50%"),
    p99Ms: latency(text, "99%"),
    errors: errors.map(Number).reduce((x, y) => x + y, 0) + number(/Non-2xx or 3xx responses: (\d+)/),
  };
  if (!(result.requests > 0)) throw new Error(`wrk got no answer:\n${text}`);
  return result;
}

function latency(text: string, share: string): number {
  const match = new RegExp(`^\\s+${share}\\s+([\\d.]+)(us|ms|s|m)$`, "m").exec(text);
  if (!match) return Number.NaN;
  const unit = { us: 0.001, ms: 1, s: 1000, m: 60_000 }[match[2] as "us" | "ms" | "s" | "m"];
  return Number(match[1]) * unit;
}
