// restart: kill -9 of the agent again and again, under load and during installs, beside the same of PM2's daemon
import { seededRandom } from "../../test/support/random.ts";
import { table } from "./support/report.ts";
import { killInInstalls } from "./support/restart/in-install.ts";
import type { AgentKills, Kills } from "./support/restart/kills.ts";
import { type DaemonKills, killPm2 } from "./support/restart/pm2-daemon.ts";
import { killWhileServing } from "./support/restart/while-serving.ts";
import { bench, type Run } from "./support/run.ts";
import { median, percentile, round } from "./support/statistics.ts";

/**
 * Workers of the host, half of them in each slot: many to be taken over in time; few, so that an install is not all
 * about their start.
 */
const MANY = 64;
const FEW = 8;
/** As in the benchmark of replacements. */
const LOAD = { concurrency: 32, pauseMs: 25 };

await bench("restart", async (run) => {
  const seed = Number(process.env.BENCH_SEED ?? Date.now() % 2 ** 31);
  const random = seededRandom(seed);
  run.say(`the moments of the kills are drawn with BENCH_SEED=${seed}`);
  run.report.figure("seed", seed);
  const kills = run.either(25, 6);
  const serving = await run.scope(() => killWhileServing(run, random, { workers: MANY, kills }));
  const installing = await run.scope(() => killInInstalls(run, random, { workers: FEW, kills, load: LOAD }));
  const pm2 = { kills: run.either(6, 2), load: LOAD };
  const cluster = await run.scope(() => killPm2(run, random, { ...pm2, instances: FEW, mode: "cluster" }));
  // In fork mode each worker needs a port of its own.
  const fork = await run.scope(() => killPm2(run, random, { ...pm2, instances: 1, mode: "fork" }));

  summarizeKills(run, { serving, installing, pm2_cluster: cluster, pm2_fork: fork });
  summarizeTimes(run, {
    [`start → the socket answers, ${MANY} workers`]: ["serving_start_to_answer", serving.answerMs],
    [`start → full, ${MANY} workers`]: ["serving_start_to_full", serving.startMs],
    "start → the other slot full, in an install": ["installing_start_to_full", installing.startMs],
    "start → the install done": ["installing_start_to_done", installing.doneMs],
    "PM2 cluster, kill → an answer": ["pm2_cluster_kill_to_answer", cluster.answersMs],
  });
  const parts = Object.entries(installing.parts);
  run.say(`\nkills by the part of the install: ${parts.map(([name, count]) => `${name} ${count}`).join(", ")}`);
  for (const [name, count] of parts) run.report.figure(`installing_kills_${name}`, count);
  run.report.figure("member_longest_silence_ms", Math.max(serving.longestSilenceMs, installing.longestSilenceMs));

  const total = (key: "failed" | "changedPids" | "registrationsLost") => serving[key] + installing[key];
  run.report.target("failed requests", total("failed"), "=", 0);
  run.report.target("PIDs of workers changed", total("changedPids"), "=", 0);
  run.report.target("registrations lost", total("registrationsLost"), "=", 0);
  run.report.target("interrupted installs not done", installing.notDone.length, "=", 0);
  run.report.target(`start to all ${MANY} workers serving, p99 ms`, percentile(serving.startMs, 0.99), "<=", 500);
});

function summarizeKills(run: Run, subjects: Record<string, AgentKills | DaemonKills>): void {
  const rows = Object.entries(subjects).map(([name, kills]) => {
    const lost = "registrationsLost" in kills ? String(kills.registrationsLost) : "";
    figures(run, name, kills);
    if (lost) run.report.figure(`${name}_registrations_lost`, Number(lost));
    if ("unknown" in kills) run.report.figure(`${name}_workers_unknown`, kills.unknown);
    const { workers, requests, failed, changedPids } = kills;
    return [name, ...[kills.kills, requests, failed, workers, changedPids].map(String), lost];
  });
  run.say(
    `\n${table(["", "kills", "requests", "failed", "workers watched", "PIDs changed", "registrations lost"], rows)}`,
  );
  for (const [name, { failures }] of Object.entries(subjects))
    for (const [failure, count] of Object.entries(failures)) run.say(`  ${name}: ${count} × ${failure}`);
}

function figures(run: Run, name: string, { kills, requests, failed, workers, changedPids }: Kills): void {
  for (const [figure, value] of Object.entries({ kills, requests, failed, workers, pids_changed: changedPids }))
    run.report.figure(`${name}_${figure}`, value);
}

function summarizeTimes(run: Run, times: Record<string, readonly [name: string, samples: number[]]>): void {
  const rows = Object.entries(times).map(([what, [name, samples]]) => {
    const quantiles = { p50: median(samples), p90: percentile(samples, 0.9), p99: percentile(samples, 0.99) };
    for (const [quantile, ms] of Object.entries(quantiles)) run.report.figure(`${name}_${quantile}_ms`, ms);
    return [what, String(samples.length), ...Object.values(quantiles).map((ms) => `${round(ms, 0)} ms`)];
  });
  run.say(`\n${table(["", "samples", "p50", "p90", "p99"], rows)}`);
}
