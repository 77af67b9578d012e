// install: a release onto the disk, whole and as a delta, beside sha256sum and tar; and what serves meanwhile
import { join } from "node:path";
import { packBoth } from "../../test/support/crash-install/packages.ts";
import { contest, type Timed } from "./support/install/contest.ts";
import { type InAgent, installInAgent } from "./support/install/in-agent.ts";
import { changedTree, realTree, versionsIn, workDirectory } from "./support/install/tree.ts";
import { table } from "./support/report.ts";
import { bench, type Run } from "./support/run.ts";
import { median, round } from "./support/statistics.ts";

const MB = 1024 ** 2;

await bench("install", async (run) => {
  const base = realTree(run);
  const directory = workDirectory(run, "install");
  const next = changedTree(base, join(directory, "next"));
  run.say(`${base.files} files, ${round(base.bytes / MB, 0)} MB: ${versionsIn(base)}`);
  run.say(`the next version: ${next.changedFiles} files changed, ${round(next.changedBytes / MB, 2)} MB; packing …`);
  const archives = join(directory, "archives");
  const packed = await packBoth(run, base.directory, archives, "base");
  const packedNext = await packBoth(run, next.directory, archives, "next", [packed.manifest]);
  for (const format of ["gz", "zst"] as const) {
    const whole = packed.releases[format].sizeBytes;
    const delta = packedNext.releases[format].deltas?.[0]?.sizeBytes ?? Number.NaN;
    run.say(`.tar.${format}: ${round(whole / MB, 1)} MB, the delta ${round(delta / MB, 2)} MB`);
    run.report.figure(`archive_${format}_mb`, whole / MB);
    run.report.figure(`delta_${format}_mb`, delta / MB);
  }
  run.report.figure("tree_files", base.files);
  run.report.figure("tree_mb", base.bytes / MB);
  run.report.figure("tree_packages", versionsIn(base));
  run.report.figure("changed_files", next.changedFiles);
  run.report.figure("changed_mb", next.changedBytes / MB);

  run.say("\nonto the disk, in turn");
  const timed = await run.scope(() =>
    contest(run, join(directory, "contest"), packed.releases, packedNext.releases, run.either(5, 2)),
  );
  summarizeContest(run, timed);
  run.say("\nin an agent, while the other slot serves");
  const inAgent = await run.scope(() => installInAgent(run, directory, packed.releases.gz, run.either(5, 2)));
  summarizeAgent(run, inAgent);
});

function summarizeContest(run: Run, timed: Record<string, Timed>): void {
  const rows = Object.entries(timed).map(([name, { seconds, steps }]) => {
    const fetch = median(steps.map(({ fetchMs }) => fetchMs / 1000));
    const unpack = median(steps.map(({ unpackMs }) => unpackMs / 1000));
    run.report.figure(`${name}_s`, median(seconds));
    if (steps.length > 0) {
      run.report.figure(`${name}_fetch_s`, fetch);
      run.report.figure(`${name}_unpack_s`, unpack);
    }
    const shown = (value: number) => (Number.isNaN(value) ? "" : `${round(value, 2)} s`);
    return [name, shown(median(seconds)), shown(fetch), shown(unpack)];
  });
  run.say(`\n${table(["", "median", "fetching", "unpacking"], rows)}`);
  for (const format of ["gz", "zst"]) {
    const [whole, delta] = [timed[`slotd_${format}`] as Timed, timed[`slotd_delta_${format}`] as Timed];
    const tar = timed[`tar_${format}`] as Timed;
    const share = (delta.steps[0]?.fetchedBytes ?? Number.NaN) / (whole.steps[0]?.fetchedBytes ?? Number.NaN);
    run.report.figure(`slotd_vs_tar_sync_${format}`, ratio(whole, timed[`tar_sync_${format}`] as Timed));
    run.report.target(`.tar.${format}: slotd ÷ (sha256sum && tar)`, ratio(whole, tar), "<=", 1);
    run.report.target(`.tar.${format}: delta ÷ whole, seconds`, ratio(delta, whole), "<=", 0.1);
    run.report.target(`.tar.${format}: delta ÷ whole, bytes fetched`, share, "<=", 0.02);
  }
  run.report.figure("slotd_vs_tar_package_gz", ratio(timed.slotd_gz as Timed, timed.tar_package_gz as Timed));
}

/** Of the same rounds. */
function ratio(one: Timed, other: Timed): number {
  return median(one.seconds.map((seconds, i) => seconds / (other.seconds[i] as number)));
}

function summarizeAgent(run: Run, { quiet, installing, tar, loop, installSeconds, rssMb }: InAgent): void {
  const { report } = run;
  const phases = { quiet, installing, tar };
  const rows = Object.entries(phases).map(([name, rounds]) => {
    const sum = (key: "requests" | "failed") => rounds.reduce((total, latencies) => total + latencies[key], 0);
    const p99 = median(rounds.map(({ p99Ms }) => p99Ms));
    const p50 = median(rounds.map(({ p50Ms }) => p50Ms));
    const beside = median(rounds.map(({ p99Ms }, i) => p99Ms / (quiet[i]?.p99Ms ?? Number.NaN)));
    report.figure(`serving_${name}_p50_ms`, p50);
    report.figure(`serving_${name}_p99_ms`, p99);
    report.figure(`serving_${name}_p99_vs_quiet`, beside);
    const counts = [String(sum("requests")), String(sum("failed"))];
    return [name, ...counts, `${round(p50, 2)} ms`, `${round(p99, 2)} ms`, String(round(beside, 2))];
  });
  run.say(`\n${table(["slot b", "requests", "failed", "p50", "p99", "p99 ÷ quiet"], rows)}`);
  const delays = Object.entries(loop).map(([name, windows]) => {
    const highest = (key: "p50Ms" | "p99Ms" | "maxMs") => Math.max(...windows.map((window) => window[key]));
    for (const [figure, key] of [
      ["p50", "p50Ms"],
      ["p99", "p99Ms"],
      ["max", "maxMs"],
    ] as const)
      report.figure(`loop_${name}_${figure}_ms`, highest(key));
    return [name, ...(["p50Ms", "p99Ms", "maxMs"] as const).map((key) => `${round(highest(key), 1)} ms`)];
  });
  run.say(`\n${table(["the agent's event loop", "p50", "p99", "max"], delays)}`);
  report.figure("agent_install_s", median(installSeconds));
  report.figure("agent_rss_before_mb", rssMb.before);
  report.figure(
    "serving_install_vs_tar_p99",
    median(installing.map(({ p99Ms }, i) => p99Ms / (tar[i]?.p99Ms ?? Number.NaN))),
  );
  const failed = [...quiet, ...installing].reduce((total, latencies) => total + latencies.failed, 0);
  report.target(
    "event loop's delay during an install, p99 ms",
    Number(report.figures.loop_installing_p99_ms),
    "<=",
    20,
  );
  report.target("agent's highest RSS, MB", rssMb.highest, "<=", 200);
  report.target("failed requests of the other slot", failed, "=", 0);
}
