import { percentile, round } from "../statistics.ts";

export const connectionKinds = ["keepAlive", "close"] as const;
export type ConnectionKind = (typeof connectionKinds)[number];
export type Method = "GET" | "POST";

export interface Outcome {
  connection: ConnectionKind;
  method: Method;
  /** Null where the request was meant to be slow. */
  latencyMs: number | null;
  /** Why it failed, if it did. */
  failure: string | null;
}

export interface PhaseResult {
  requests: number;
  failed: number;
  /** Per kind of connection and method. */
  by: Record<string, { requests: number; failed: number }>;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** How often each failure was seen. */
  failures: Record<string, number>;
}

/** What became of the requests of one phase. */
export class Tally {
  private requests = 0;
  private failed = 0;
  private readonly latencies: number[] = [];
  private readonly by: PhaseResult["by"] = {};
  private readonly failures: Record<string, number> = {};

  add({ connection, method, latencyMs, failure }: Outcome): void {
    const name = `${connection}_${method}`;
    this.by[name] ??= { requests: 0, failed: 0 };
    const by = this.by[name];
    this.requests++;
    by.requests++;
    if (failure !== null) {
      this.failed++;
      by.failed++;
      this.failures[failure] = (this.failures[failure] ?? 0) + 1;
    } else if (latencyMs !== null) this.latencies.push(latencyMs);
  }

  result(): PhaseResult {
    const { requests, failed, by, failures, latencies } = this;
    const at = (share: number) => round(percentile(latencies, share), 2);
    return { requests, failed, by, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), failures };
  }
}
