import { table } from "../report.ts";
import type { Run } from "../run.ts";
import { median, percentile, round } from "../statistics.ts";
import { type Barrier, changeKinds } from "./barriers.ts";
import type { DeployTime } from "./overhead.ts";
import type { SwitchTimes } from "./rounds.ts";
import { EDGES } from "./slotd-fleet.ts";
import type { Visits } from "./visits.ts";

/** What one way of deploying did to its users. */
export interface Subject {
  name: string;
  visits: Visits;
  /** What each deploy took. */
  seconds: readonly number[];
  /**
   * Answers of another version than the one asked for, while that was served; null where nobody says what is served.
   */
  wronglyAnswered: number | null;
}

const BOUNDS_MS = { varnish: 2_000, haproxy: 200 } as const;
const HEAD = ["", "deploys", "requests", "failed", "reloads", "most of a user", "flip-flops", "other version"];

export function summarizeSubjects(run: Run, subjects: readonly Subject[]): void {
  const rows = subjects.map(({ name, visits, seconds, wronglyAnswered }) => {
    const counts: Record<string, number> = {
      deploys: seconds.length,
      requests: visits.sum("requests"),
      failed: visits.sum("failed"),
      reloads: visits.sum("reloads"),
      most_reloads: visits.mostReloads,
      flip_flops: visits.sum("flipFlops"),
      other_version: visits.sum("wrongVersion"),
      broken_pages: visits.sum("brokenPages"),
    };
    for (const [key, value] of Object.entries(counts)) run.report.figure(`${name}_${key}`, value);
    const [p50Ms, p99Ms] = [visits.latencyMs("p50Ms"), visits.latencyMs("p99Ms")];
    run.report.figure(`${name}_p50_ms`, p50Ms);
    run.report.figure(`${name}_p99_ms`, p99Ms);
    run.report.figure(`${name}_futile_reloads`, visits.sum("futileReloads"));
    run.report.figure(`${name}_seconds_each`, median(seconds));
    if (wronglyAnswered !== null) run.report.figure(`${name}_other_version_while_served`, wronglyAnswered);
    const times = [`${round(p50Ms, 0)} ms`, `${round(p99Ms, 0)} ms`, `${round(median(seconds), 1)} s`];
    return [name, ...Object.values(counts).map(String), ...times];
  });
  run.say(`\n${table([...HEAD, "broken pages", "p50", "p99", "each"], rows)}`);
  for (const { name, visits } of subjects)
    for (const [kind, count] of Object.entries(visits.failures)) run.say(`${name}: ${count} × ${kind}`);
}

/** By edge and kind of change, and the target of each edge. */
export function summarizeBarriers(run: Run, barriers: readonly Barrier[]): void {
  const rows = EDGES.flatMap((edge) =>
    changeKinds.map((kind) => {
      const times = barriers.filter((each) => each.edge === edge && each.kind === kind).map(({ ms }) => ms);
      return quantiles(run, `barrier_${edge}_${kind}`, `${edge}: ${kind}`, times);
    }),
  );
  run.say(`\n${table(["routes written → acknowledged", "samples", "p50", "p90", "p99", "max"], rows)}`);
  for (const edge of EDGES) {
    // A barrier at which an edge has nothing to change would make the others look better.
    const times = barriers.filter((each) => each.edge === edge && each.kind !== "same").map(({ ms }) => ms);
    run.report.figure(`barrier_${edge}_samples`, times.length);
    run.report.target(
      `${edge}: routes written to acknowledged, p99 ms`,
      percentile(times, 0.99),
      "<=",
      BOUNDS_MS[edge],
    );
  }
}

export function summarizeSwitches(run: Run, { own, steps, whole }: SwitchTimes): void {
  const rows = [
    quantiles(run, "switch_own", "routes written → last acknowledgement", own),
    quantiles(run, "switch_steps", "all steps of the command", steps),
    quantiles(run, "switch_command", "the whole command", whole),
  ];
  run.say(`\n${table(["switches of the default", "samples", "p50", "p90", "p99", "max"], rows)}`);
  run.report.target("switch of the default, to the last acknowledgement, p99 ms", percentile(own, 0.99), "<=", 1_000);
  run.report.target("switch of the default, the whole command, p99 ms", percentile(whole, 0.99), "<=", 1_000);
}

/** The controller's share is what neither hosts nor edges took. */
export function summarizeTimes(run: Run, times: readonly DeployTime[]): void {
  const of = (pick: (time: DeployTime) => number) => median(times.map(pick));
  const rows = (["hosts", "installing", "barriers", "steps", "commands"] as const).map((key) => {
    const value = of((time) => time[key]);
    run.report.figure(`deploy_${key}_ms`, value);
    return [key, `${round(value, 0)} ms`];
  });
  run.say(`\n${table(["a deploy, medians", ""], rows)}`);
  const over = (pick: (time: DeployTime) => number) => of((time) => (100 * (pick(time) - time.hosts)) / time.hosts);
  const installing = over((time) => time.installing);
  const whole = over(({ steps }) => steps);
  run.report.figure("all_steps_over_hosts_percent", whole);
  run.report.figure(
    "all_steps_less_barriers_over_hosts_percent",
    over(({ steps, barriers }) => steps - barriers),
  );
  run.report.target("installing step over the hosts' own time, %", installing, "<=", 10);
  run.report.target("all steps, barriers and all, over the hosts' own time, %", whole, "<=", 10);
}

function quantiles(run: Run, name: string, what: string, times: readonly number[]): string[] {
  const values = [0.5, 0.9, 0.99, 1].map((share) => percentile(times, share));
  if (times.length > 0)
    for (const [i, quantile] of ["p50", "p90", "p99", "max"].entries())
      run.report.figure(`${name}_${quantile}_ms`, values[i] as number);
  return [what, String(times.length), ...values.map((value) => (times.length > 0 ? `${round(value, 0)} ms` : "-"))];
}
