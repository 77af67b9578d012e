import type { Run } from "../run.ts";
import type { VerbResult } from "./controller.ts";
import { type DeployTime, deployTime } from "./overhead.ts";
import type { RollingFleet } from "./rolling-fleet.ts";
import type { SlotdFleet } from "./slotd-fleet.ts";
import type { Visits } from "./visits.ts";
import { buildWeb, type WebRelease } from "./web-release.ts";

/** Between two deploys: whoever has to reload does it within a few calls. */
const SETTLE_MS = 2_000;
/** The load goes on until there were so many requests, within a bound. */
const WANTED_REQUESTS = 200_000;
const LONGEST_BARRIERS_MS = 180_000;

/** Of each switch of the default, in ms. */
export interface SwitchTimes {
  /** From the routes' write to the last acknowledgement. */
  own: number[];
  /** All steps of the command. */
  steps: number[];
  /** The command as a process, from its start to its end. */
  whole: number[];
}

/** The two fleets, the users of each, and what was measured so far. */
export interface Contest {
  run: Run;
  fleet: SlotdFleet;
  rolling: RollingFleet;
  visits: { slotd: Visits; rolling: Visits };
  /** The directory of releases. */
  releases: string;
  seconds: { slotd: number[]; rolling: number[] };
  times: DeployTime[];
  switches: SwitchTimes;
}

/**
 * Takes slotd's fleet through these versions, one crowd of users watching; at the end back to the one before the last.
 */
export async function deployFleet(contest: Contest, versions: readonly string[], andBack: boolean): Promise<void> {
  const { run, fleet, visits, seconds, times, switches } = contest;
  for (const version of versions) await fleet.publish(version);
  await visits.slotd.during(run, async (users) => {
    for (const version of versions) {
      users.mark(`deploy ${version}`);
      const { prepare, promote, prepared } = await fleet.deploy(version);
      seconds.slotd.push((prepare.wallMs + promote.wallMs) / 1_000);
      times.push(deployTime(fleet.record, prepared, 1, [prepare, promote]));
      note(switches, promote);
      await run.sleep(SETTLE_MS);
    }
    if (!andBack) return;
    users.mark("rollback");
    note(switches, await fleet.rollback());
    await run.sleep(SETTLE_MS);
  });
}

/** Takes the other fleet through the same versions. */
export async function restartFleet(contest: Contest, versions: readonly string[]): Promise<void> {
  const { run, rolling, visits, seconds, releases } = contest;
  const built: WebRelease[] = [];
  for (const version of versions) built.push(await buildWeb(version, releases));
  await visits.rolling.during(run, async (users) => {
    for (const { version, directory } of built) {
      users.mark(`restart ${version}`);
      const began = performance.now();
      await rolling.deploy(directory);
      seconds.rolling.push((performance.now() - began) / 1_000);
      await run.sleep(SETTLE_MS);
    }
  });
}

/**
 * A version that is on every host becomes the default and is taken back, again and again. Then routes are written as
 * the controller does it, for more samples: the version leaves and joins them, is the default and is not.
 */
export async function switchBackAndForth({ run, fleet, visits, switches }: Contest, last: string): Promise<void> {
  const { default: before } = fleet.record.lastRoutes.value;
  const requestsBefore = visits.slotd.sum("requests");
  await visits.slotd.during(run, async (users) => {
    const cycles = run.either(12, 2);
    users.mark("switches");
    for (let number = 0; number < cycles; number++) {
      note(switches, (await fleet.deploy(last)).promote);
      note(switches, await fleet.rollback());
    }
    run.say(`  ${cycles} times ${last} became the default, and was taken back`);
    users.mark("barriers");
    const end = performance.now() + LONGEST_BARRIERS_MS;
    const serving = [before, last];
    const least = run.either(30, 3);
    for (let number = 0; number < least || performance.now() < end; number++) {
      const { phases } = await users.report();
      const requests = Object.values(phases).reduce((sum, phase) => sum + phase.requests, requestsBefore);
      if (number >= least && (run.quick || requests >= WANTED_REQUESTS)) break;
      // Whose page is of the version that leaves would have to reload: all pages are of the other one.
      for (const [version, others] of [
        [before, [before]],
        [before, serving],
        [last, serving],
        [before, serving],
      ] as const)
        await fleet.route({ default: version, serving: [...others] });
    }
  });
}

/** The last barrier of a verb is the switch's. */
function note({ own, steps: all, whole }: SwitchTimes, { steps, wallMs }: VerbResult): void {
  const barrier = steps.at(-1)?.barriers.at(-1);
  if (!barrier) throw new Error("the switch has no barrier");
  own.push(barrier.ms);
  all.push(steps.reduce((sum, { ms }) => sum + ms, 0));
  whole.push(wallMs);
}
