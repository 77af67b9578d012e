/**
 * To be run inside a booted host: clients of both slots, with kept and with new connections, GET and POST, and a reader
 * of the serverset. Says "ready" when all of them have had an answer; ends when its input ends, or after BOUND_MS, with
 * one line of JSON.
 *   node systemd-load.js SERVICE HOST NATS-URL PORT PORT
 */
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import type { Member } from "../../../protocol/member.ts";
import { buckets } from "../../../protocol/subjects.ts";
import { Load } from "../load/load.ts";
import { until } from "../until.ts";

const BOUND_MS = 180_000;

/** What is said in the end. */
export interface LoadReport {
  /** By what kind of client, for example "GET kept 8000". */
  requests: Record<string, number>;
  failures: string[];
  /** What the serverset said of a slot that was not ALIVE with all of its workers, or no more. */
  withdrawn: string[];
  /** How often each slot's member was written. */
  written: Record<string, number>;
  /** The longest that a member was not written again. */
  longestGapMs: number;
}

const [service = "", host = "", nats = "", ...ports] = process.argv.slice(2);
const report: LoadReport = { requests: {}, failures: [], withdrawn: [], written: {}, longestGapMs: 0 };

const nc = await connect({ servers: nats });
const lastAt = new Map<string, number>();
const gap = (key: string) => {
  const before = lastAt.get(key);
  if (before !== undefined) report.longestGapMs = Math.max(report.longestGapMs, Math.round(performance.now() - before));
};
const entries = await (await new Kvm(nc).open(buckets.serversets)).watch({ key: `${service}.prod.${host}.*` });
const watching = (async () => {
  for await (const entry of entries) {
    const { key, operation } = entry;
    gap(key);
    lastAt.set(key, performance.now());
    report.written[key] = (report.written[key] ?? 0) + 1;
    const member = operation === "PUT" ? entry.json<Member>() : null;
    const whole = member?.status === "ALIVE" && member.metadata.capacity === member.metadata.workers;
    if (!whole) report.withdrawn.push(`${key}: ${operation} ${member ? JSON.stringify(member) : ""}`);
  }
})();

const loads = ports.flatMap((port) =>
  (["GET", "POST"] as const).flatMap((method) =>
    [true, false].map((keepAlive) => {
      const target = { host: "127.0.0.1", port: Number(port) };
      const load = new Load({ target: () => target, clients: 1, keepAlive, method });
      return [`${method} ${keepAlive ? "kept" : "new"} ${port}`, load] as const;
    }),
  ),
);
await until(
  "all have had an answer",
  () => loads.every(([, { requests }]) => requests > 0) && lastAt.size === ports.length,
);
console.log("ready");

const bound = AbortSignal.timeout(BOUND_MS);
await new Promise<void>((resolve) => {
  process.stdin.resume().once("end", resolve);
  bound.addEventListener("abort", () => resolve());
});
await Promise.all(loads.map(([, load]) => load.stop()));
for (const [kind, { requests, failures }] of loads) {
  report.requests[kind] = requests;
  report.failures.push(...failures.map((failure) => `${kind}: ${failure}`));
}
for (const key of lastAt.keys()) gap(key);
entries.stop();
await watching;
await nc.close();
console.log(JSON.stringify(report));
process.exit(0);
