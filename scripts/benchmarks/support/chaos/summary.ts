import type { UsersReport } from "../../../../test/support/users/users.ts";
import { groupBy } from "../group-by.ts";
import { table } from "../report.ts";
import type { Run } from "../run.ts";
import { percentile, round } from "../statistics.ts";
import { type Account, countByCause, type Outage } from "./account.ts";
import type { Convergence } from "./convergence.ts";
import type { WorkerLife } from "./judge-ends.ts";
import type { Attempt } from "./operator.ts";

/** What a run of the chaos found. */
export interface Findings {
  report: UsersReport;
  account: Account;
  wrong: UsersReport["seen"]["wrong"];
  outages: readonly Outage[];
  attempts: readonly Attempt[];
  convergence: Convergence;
  lives: readonly WorkerLife[];
  /** Workers that ended although nothing was ordered. */
  ended: readonly WorkerLife[];
  strays: readonly number[];
}

/** So many failures are told one by one. */
const SHOWN = 10;

export function summarize(run: Run, findings: Findings): void {
  sayRequests(run, findings);
  sayFailures(run, findings);
  sayFaults(run, findings.outages);
  sayDeploys(run, findings.attempts);
  const { account, wrong, convergence, lives, ended, strays } = findings;
  const { orders, missing, ms } = convergence;
  run.report.figure("orders", orders.total);
  run.report.figure("orders_converged", orders.converged);
  run.report.figure("converged_after_ms", ms);
  run.report.figure("workers_seen", lives.length);
  for (const what of missing) run.say(`not converged: ${what}`);
  for (const { host, slot, version, pid } of ended)
    run.say(`worker ${pid} of ${version}, ${host} ${slot}: ended unordered`);
  for (const { asked, answered } of wrong.slice(0, SHOWN)) run.say(`${asked} was served, but ${answered} answered`);
  run.report.target("failed requests", account.failed.length, "=", 0);
  run.report.target("answers of another version than asked for while it was served", wrong.length, "=", 0);
  run.report.target("orders not converged", orders.total - orders.converged, "=", 0);
  run.report.target("things not as ordered in the end", missing.length, "=", 0);
  run.report.target("PIDs of workers changed for no ordered reason", ended.length, "=", 0);
  run.report.target("workers that no agent knows", strays.length, "=", 0);
}

function sayRequests(run: Run, { report, account }: Findings): void {
  const by = new Map<string, { requests: number; failed: number }>();
  for (const phase of Object.values(report.phases))
    for (const [way, { requests, failed }] of Object.entries(phase.by)) {
      const sum = by.get(way) ?? { requests: 0, failed: 0 };
      by.set(way, { requests: sum.requests + requests, failed: sum.failed + failed });
    }
  const rows = [...by].sort().map(([way, { requests, failed }]) => {
    run.report.figure(`requests ${way}`, requests);
    return [way, String(requests), String(failed)];
  });
  const total = [...by.values()].reduce((sum, { requests }) => sum + requests, 0);
  run.report.figure("requests", total);
  run.report.figure("failed", account.failed.length);
  run.report.figure("cut_with_the_proxy", account.cutByProxy.length);
  run.report.figure("refused_without_a_proxy", account.refusedByProxy.length);
  run.say(`\n${table(["connection", "requests", "not answered"], rows)}`);
}

function sayFailures(run: Run, { account }: Findings): void {
  const causes = countByCause(account.failed);
  for (const [cause, count] of causes) run.report.figure(`failed: ${cause}`, count);
  const rows = [
    ["excused: cut with the killed proxy", String(account.cutByProxy.length)],
    ["excused: refused, the proxy was away", String(account.refusedByProxy.length)],
    ...causes.map(([cause, count]) => [cause, String(count)]),
  ];
  run.say(`\n${table(["not answered, by error × what was away", "requests"], rows)}`);
  for (const { failure } of account.failed.slice(0, SHOWN))
    run.say(`  ${new Date(failure.fromMs).toISOString()} + ${failure.toMs - failure.fromMs} ms: ${failure.what}`);
}

function sayFaults(run: Run, outages: readonly Outage[]): void {
  const rows = [...groupBy(outages, ({ kind }) => kind)].sort().map(([kind, all]) => {
    const away = all.map(({ killedAt, upAt }) => (upAt - killedAt) / 1_000);
    run.report.figure(`kills_${kind}`, all.length);
    return [kind, String(all.length), `${round(percentile(away, 0.5), 1)} s`, `${round(Math.max(...away), 1)} s`];
  });
  run.report.figure("kills", outages.length);
  run.say(`\n${table(["killed", "times", "away, p50", "longest"], rows)}`);
}

function sayDeploys(run: Run, attempts: readonly Attempt[]): void {
  const rows = [...groupBy(attempts, ({ verb, outcome }) => `${verb}: ${outcome}`)].sort().map(([what, all]) => {
    run.report.figure(what, all.length);
    return [what, String(all.length)];
  });
  run.say(`\n${table(["commands of the controller", "times"], rows)}`);
}
