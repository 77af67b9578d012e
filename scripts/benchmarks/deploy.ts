// deploy: a fleet taken from version to version under load, behind Varnish and HAProxy, beside a rolling restart
import { barriersOf } from "./support/deploy/barriers.ts";
import { RollingFleet } from "./support/deploy/rolling-fleet.ts";
import { type Contest, deployFleet, restartFleet, switchBackAndForth } from "./support/deploy/rounds.ts";
import { EDGES, SlotdFleet } from "./support/deploy/slotd-fleet.ts";
import { summarizeBarriers, summarizeSubjects, summarizeSwitches, summarizeTimes } from "./support/deploy/summary.ts";
import { Visits } from "./support/deploy/visits.ts";
import { buildWeb } from "./support/deploy/web-release.ts";
import { wronglyAnswered } from "./support/deploy/wrong-answers.ts";
import { temporaryDirectory } from "./support/processes.ts";
import { bench } from "./support/run.ts";

const HOSTS = 6;
const WORKERS_PER_SLOT = 2;
/** A user sees a deploy and the next one: what the first leaves behind shows at the second. */
const DEPLOYS_PER_ROUND = 2;

await bench("deploy", async (run) => {
  const releases = temporaryDirectory(run, "releases");
  const crowd = run.quick ? { users: 100, requestsPerSecond: 200 } : { users: 400, requestsPerSecond: 800 };
  run.say(`starting ${HOSTS} hosts with agents behind Varnish and HAProxy, and as many without agents`);
  const fleet = await SlotdFleet.start(run, { hosts: HOSTS, workersPerSlot: WORKERS_PER_SLOT, directory: releases });
  for (const version of ["A", "B"]) {
    await fleet.publish(version);
    await fleet.deploy(version);
  }
  const { directory: release } = await buildWeb("B", releases);
  const rolling = await RollingFleet.start({ hosts: HOSTS, processesPerHost: 2 * WORKERS_PER_SLOT, release });
  run.own(() => rolling.stop());

  const contest: Contest = {
    ...{ run, fleet, rolling, releases, times: [] },
    visits: { slotd: new Visits(fleet.urls, crowd), rolling: new Visits([rolling.url], crowd) },
    seconds: { slotd: [], rolling: [] },
    switches: { own: [], steps: [], whole: [] },
  };
  const rounds = run.either(3, 1);
  const versions = Array.from({ length: rounds * DEPLOYS_PER_ROUND }, (_, i) => String.fromCharCode(67 + i));
  for (let number = 0; number < rounds; number++) {
    const these = versions.slice(number * DEPLOYS_PER_ROUND, (number + 1) * DEPLOYS_PER_ROUND);
    const isLast = number === rounds - 1;
    const parts = [() => deployFleet(contest, these, isLast), () => restartFleet(contest, these)];
    for (const part of number % 2 === 0 ? parts : parts.reverse()) await part();
    run.say(`  round ${number + 1}/${rounds}, to ${these.join(" and ")}: ${latest(contest)}`);
  }
  await switchBackAndForth(contest, versions.at(-1) as string);
  summarize(contest);
});

function latest({ seconds, visits }: Contest): string {
  return (["slotd", "rolling"] as const)
    .map((name) => {
      const [visit, last] = [visits[name], seconds[name].at(-1) ?? Number.NaN];
      return `${name} ${last.toFixed(1)} s, ${visit.sum("failed")} of ${visit.sum("requests")} failed so far`;
    })
    .join("; ");
}

function summarize({ run, fleet, visits, seconds, times, switches }: Contest): void {
  const { routes, acks } = fleet.record;
  const { slotd, rolling } = visits;
  const wrong = slotd.reports.flatMap((report) => wronglyAnswered(report, routes));
  for (const { asked, answered, count } of wrong)
    run.say(`${count} answers of ${answered} for ${asked}, which was served`);
  const meanwhile = wrong.reduce((sum, { count }) => sum + count, 0);
  summarizeSubjects(run, [
    { name: "slotd", visits: slotd, seconds: seconds.slotd, wronglyAnswered: meanwhile },
    { name: "rolling", visits: rolling, seconds: seconds.rolling, wronglyAnswered: null },
  ]);
  run.report.target("failed requests", slotd.sum("failed"), "=", 0);
  run.report.target("reloads of a user in a deploy, at most", slotd.mostReloads, "<=", 1);
  run.report.target("answers of another version than asked for while it was served", meanwhile, "=", 0);
  if (!run.quick) run.report.target("requests", slotd.sum("requests"), ">=", 200_000);
  summarizeBarriers(run, barriersOf(routes, acks, EDGES));
  summarizeSwitches(run, switches);
  summarizeTimes(run, times);
}
