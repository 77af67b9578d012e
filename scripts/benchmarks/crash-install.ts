// crash-install: kill -9 at every boundary and at random moments of installs and clean-ups; does each start converge?
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type CrashReleases, converge, makeReady, makeReleases } from "../../test/support/crash-install/crash-store.ts";
import { Kills, listBoundaries, type Step, timeUndisturbed } from "../../test/support/crash-install/kills.ts";
import { seededRandom } from "../../test/support/random.ts";
import { workDirectory } from "./support/install/tree.ts";
import { table } from "./support/report.ts";
import { bench, type Run } from "./support/run.ts";
import { round } from "./support/statistics.ts";

/** Few files, so that each call can be killed at; many, so that moments fall into all that an install does. */
const FEW_FILES = 12;
const MANY_FILES = 1_500;
const WAYS = ["whole", "delta"] as const;
type Way = (typeof WAYS)[number];

interface Outcomes {
  kills: number;
  /** By what the process had said last. */
  during: Record<string, number>;
  swept: number;
  published: number;
  violations: string[];
}

await bench("crash-install", async (run) => {
  const seed = Number(process.env.BENCH_SEED ?? Date.now() % 2 ** 31);
  run.say(`the random moments are drawn with BENCH_SEED=${seed}`);
  run.report.figure("seed", seed);
  const directory = workDirectory(run, "crash-install");
  const boundaries = await run.scope(() => atBoundaries(run, join(directory, "few")));
  const moments = await run.scope(() => atRandom(run, join(directory, "many"), seededRandom(seed)));
  summarize(run, { boundaries, moments });
});

/** A kill before each call that changes something in the store. A quick run takes every tenth. */
async function atBoundaries(run: Run, directory: string): Promise<Outcomes> {
  const releases = await makeReleases(run, directory, FEW_FILES);
  const store = join(directory, "store");
  const outcomes = none();
  const kills = new Kills(run, store);
  for (const way of WAYS) {
    await makeReady(store, releases, run.signal);
    const all = await listBoundaries(run, store, releases.next[way], join(directory, `${way}.calls`));
    run.report.figure(`${way}_boundaries`, all.length);
    run.say(`${way}: ${all.length} calls change the store`);
    for (let number = 0; number < all.length; number += run.either(1, 10)) {
      await makeReady(store, releases, run.signal);
      const said = await kills.atCall(releases.next[way], all[number] as string);
      await conclude(run, outcomes, store, releases, way, `${way} at ${all[number]}`, said);
      if ((number + 1) % 50 === 0) run.say(`  ${number + 1}/${all.length}: ${outcomes.violations.length} violations`);
    }
  }
  return outcomes;
}

/**
 * A kill at any moment of a longer install, whole and delta by turns. First a step is drawn, then a moment in it: most
 * of an install is the writing of its files, and most of what can go wrong is not.
 */
async function atRandom(run: Run, directory: string, random: () => number): Promise<Outcomes> {
  const releases = await makeReleases(run, directory, MANY_FILES);
  const store = join(directory, "store");
  const outcomes = none();
  const kills = new Kills(run, store);
  const steps: Record<Way, Step[]> = { whole: [], delta: [] };
  for (const way of WAYS) {
    await makeReady(store, releases, run.signal);
    steps[way] = await timeUndisturbed(run, store, releases.next[way]);
    for (const { name, ms } of steps[way]) run.report.figure(`${way}_${name.replaceAll(" ", "_")}_ms`, ms);
    run.say(`${way}, undisturbed: ${steps[way].map(({ name, ms }) => `${name} ${round(ms, 0)} ms`).join(", ")}`);
  }
  const times = run.either(100, 10);
  for (let number = 0; number < times; number++) {
    const way = WAYS[number % 2] as Way;
    await makeReady(store, releases, run.signal);
    const { name, ms } = steps[way][Math.floor(random() * steps[way].length)] as Step;
    const afterMs = random() * ms;
    const said = await kills.after(releases.next[way], name, afterMs);
    const kill = `${way}, ${round(afterMs, 1)} ms after ${name}`;
    await conclude(run, outcomes, store, releases, way, kill, said);
    if ((number + 1) % 10 === 0) run.say(`  ${number + 1}/${times}: ${outcomes.violations.length} violations`);
  }
  return outcomes;
}

function none(): Outcomes {
  return { kills: 0, during: {}, swept: 0, published: 0, violations: [] };
}

async function conclude(
  run: Run,
  outcomes: Outcomes,
  store: string,
  releases: CrashReleases,
  way: Way,
  kill: string,
  said: string,
): Promise<void> {
  const { violations, swept, published } = await converge(store, releases.next[way], run.signal);
  outcomes.kills++;
  outcomes.during[said] = (outcomes.during[said] ?? 0) + 1;
  outcomes.swept += swept;
  outcomes.published += Number(published);
  for (const violation of violations) {
    outcomes.violations.push(`${kill}: ${violation}`);
    run.say(`  ${kill}: ${violation}`);
  }
  // What one kill has spoiled is not counted again with the next.
  if (violations.length > 0) rmSync(store, { recursive: true, force: true });
}

function summarize(run: Run, all: Record<string, Outcomes>): void {
  const rows = Object.entries(all).map(([name, { kills, during, swept, published, violations }]) => {
    for (const [figure, value] of Object.entries({ kills, swept, published, violations: violations.length }))
      run.report.figure(`${name}_${figure}`, value);
    for (const [step, count] of Object.entries(during))
      run.report.figure(`${name}_kills_${step.replaceAll(" ", "_")}`, count);
    const parts = Object.entries(during).map(([step, count]) => `${step} ${count}`);
    return [name, ...[kills, swept, published, violations.length].map(String), parts.join(", ")];
  });
  run.say(`\n${table(["", "kills", "directories swept", "published before", "violations", "killed while"], rows)}`);
  const violations = Object.values(all).reduce((sum, outcomes) => sum + outcomes.violations.length, 0);
  run.report.target("violations after kill -9", violations, "=", 0);
}
