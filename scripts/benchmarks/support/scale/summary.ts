import { table } from "../report.ts";
import type { Run } from "../run.ts";
import { percentile, round } from "../statistics.ts";
import type { Observed } from "./observe.ts";

/** One column of the tables for each size, and growth from the last but one to the last held against the linear. */
export function summarize(run: Run, sizes: readonly Observed[]): void {
  const lines = sizes.map(figuresOf);
  for (const [i, figures] of lines.entries())
    for (const [key, value] of Object.entries(figures)) run.report.figure(`hosts_${sizes[i]?.hosts}_${key}`, value);
  const names = Object.keys(lines[0] ?? {});
  const rows = names.map((name) => [
    name.replaceAll("_", " "),
    ...lines.map((figures) => String(round(figures[name] ?? Number.NaN, (figures[name] ?? 0) >= 100 ? 0 : 2))),
  ]);
  run.say(`\n${table(["hosts", ...sizes.map(({ hosts }) => String(hosts))], rows)}`);

  const [before, now] = sizes.slice(-2) as [Observed, Observed];
  const grows = (what: string, pick: (size: Observed) => number) =>
    run.report.target(
      `${what} per host, ${now.hosts} hosts ÷ ${before.hosts}`,
      pick(now) / now.hosts / (pick(before) / before.hosts),
      "<=",
      1,
    );
  grows("time", ({ seconds }) => seconds);
  grows("time of the slowest deploy", ({ slowestSeconds }) => slowestSeconds);
  grows("the controller's CPU", ({ controllerCpuMs }) => controllerCpuMs);
  grows("the controller's messages", ({ controllerTraffic }) => messages(controllerTraffic));
  grows("the edge's CPU", ({ edgeCpuMs }) => edgeCpuMs);
  const violations = sizes.flatMap((size) => size.violations);
  for (const violation of new Set(violations)) run.say(`violation: ${violation}`);
  run.report.target("versions replaced while an edge routed to them", violations.length, "=", 0);
}

function figuresOf(size: Observed): Record<string, number> {
  const { hosts, traffic, controllerTraffic, idlePerSecond, applied } = size;
  return {
    seconds: size.seconds,
    seconds_of_the_slowest: size.slowestSeconds,
    seconds_of_steps: size.stepSeconds,
    ms_per_host: (1_000 * size.seconds) / hosts,
    controller_cpu_ms: size.controllerCpuMs,
    controller_cpu_ms_per_host: size.controllerCpuMs / hosts,
    controller_peak_rss_mb: size.controllerPeakRssMb,
    controller_messages: messages(controllerTraffic),
    controller_mb: (controllerTraffic.inBytes + controllerTraffic.outBytes) / 1e6,
    server_messages_in: traffic.inMessages,
    server_messages_out: traffic.outMessages,
    server_mb_in: traffic.inBytes / 1e6,
    server_mb_out: traffic.outBytes / 1e6,
    idle_messages_in_per_second: idlePerSecond.inMessages,
    idle_messages_out_per_second: idlePerSecond.outMessages,
    edge_cpu_ms: size.edgeCpuMs,
    edge_idle_cpu_percent: size.edgeIdleCpuPercent,
    edge_peak_rss_mb: size.edgePeakRssMb,
    changes: applied.length,
    applied_p50_ms: percentile(applied, 0.5),
    applied_p99_ms: percentile(applied, 0.99),
  };
}

function messages({ inMessages, outMessages }: { inMessages: number; outMessages: number }): number {
  return inMessages + outMessages;
}
