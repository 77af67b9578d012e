// replace: failed requests and p99 while versions are replaced 20 times in a row on both slots, beside PM2 reload
import type { Release } from "../../protocol/release.ts";
import { keys } from "../../protocol/subjects.ts";
import { releaseOfApp } from "./support/app.ts";
import { Load } from "./support/load/load.ts";
import type { PhaseResult } from "./support/load/tally.ts";
import { Pm2 } from "./support/pm2.ts";
import { table } from "./support/report.ts";
import { bench, type Run } from "./support/run.ts";
import { install, startHost } from "./support/slot-host.ts";
import { median, round } from "./support/statistics.ts";

/** Of the host: half of them in each slot, or all of them in PM2. */
const WORKERS = 4;
const LOAD = { concurrency: 32, pauseMs: 25 };

type Phases = Record<string, PhaseResult>;

await bench("replace", async (run) => {
  const times = run.either(20, 4);
  const slotd = await run.scope(() => replaceInSlots(run, times));
  const pm2 = await run.scope(() => reloadInPm2(run, times));
  summarize(run, "slotd", slotd);
  summarize(run, "pm2", pm2);
  run.report.target("failed requests", (slotd.replacing?.failed ?? 0) + (slotd.steady?.failed ?? 0), "=", 0);
});

/** New versions in turn in slot a and slot b, with every duration of the agent at its default. */
async function replaceInSlots(run: Run, times: number): Promise<Phases> {
  run.say(`slotd: ${times} replacements, ${WORKERS / 2} workers in each slot`);
  const { host, nats } = await startHost(run, { app: { workers: WORKERS } });
  await install(host, "a", "v1");
  await install(host, "b", "v2");
  const releases: Release[] = [];
  for (let number = 0; number < times; number++) releases.push(await releaseOfApp(host.archives, `v${number + 3}`));
  const load = await Load.start(run, { ...LOAD, nats, key: keys.member("web", "prod", host.name, "*") });
  const took: number[] = [];
  await phases(run, load, times, async (number) => {
    const began = performance.now();
    await host.installed(number % 2 === 0 ? "a" : "b", releases[number] as Release);
    took.push((performance.now() - began) / 1000);
  });
  run.report.figure("slotd_seconds_per_replacement", median(took));
  return load.stop();
}

async function reloadInPm2(run: Run, times: number): Promise<Phases> {
  run.say(`\nPM2: ${times} reloads, ${WORKERS} workers`);
  const pm2 = await Pm2.start(run, { instances: WORKERS, mode: "cluster" });
  const load = await Load.start(run, { ...LOAD, port: pm2.port });
  const took: number[] = [];
  await phases(run, load, times, async () => {
    const began = performance.now();
    await pm2.reload();
    took.push((performance.now() - began) / 1000);
  });
  run.report.figure("pm2_seconds_per_reload", median(took));
  return load.stop();
}

/** Steady load before and after; in between, one replacement after the other. */
async function phases(run: Run, load: Load, times: number, replace: (number: number) => Promise<void>): Promise<void> {
  const steadyMs = run.either(15_000, 3_000);
  await run.sleep(run.either(3_000, 1_000));
  load.phase("steady");
  await run.sleep(steadyMs);
  load.phase("replacing");
  for (let number = 0; number < times; number++) {
    await replace(number);
    if ((number + 1) % 5 === 0) run.say(`  ${number + 1}/${times}`);
  }
  load.phase("steady");
  await run.sleep(steadyMs);
}

function summarize(run: Run, name: string, { steady, replacing }: Phases): void {
  if (!steady || !replacing) throw new Error("a phase had no requests");
  run.say(`\n${name}`);
  const row = (what: string, { requests, failed, p50Ms, p99Ms, maxMs }: PhaseResult) => [
    what,
    String(requests),
    String(failed),
    `${p50Ms} ms`,
    `${p99Ms} ms`,
    `${maxMs} ms`,
  ];
  const head = ["", "requests", "failed", "p50", "p99", "max"];
  run.say(table(head, [row("steady", steady), row("replacing", replacing)]));
  const kinds = Object.entries(replacing.by).map(([kind, { requests, failed }]) => [
    kind,
    String(requests),
    String(failed),
  ]);
  run.say(`\n${table(["while replacing", "requests", "failed"], kinds)}`);
  for (const [failure, count] of Object.entries(replacing.failures)) run.say(`  ${count} × ${failure}`);
  for (const [failure, count] of Object.entries(steady.failures)) run.say(`  in steady state: ${count} × ${failure}`);
  const { report } = run;
  report.figure(`${name}_requests`, replacing.requests);
  report.figure(`${name}_failed`, replacing.failed);
  for (const [kind, { failed }] of Object.entries(replacing.by)) report.figure(`${name}_failed_${kind}`, failed);
  report.figure(`${name}_steady_failed`, steady.failed);
  report.figure(`${name}_p99_ms`, replacing.p99Ms);
  report.figure(`${name}_steady_p99_ms`, steady.p99Ms);
  report.figure(`${name}_p99_vs_steady`, round(replacing.p99Ms / steady.p99Ms, 3));
}
