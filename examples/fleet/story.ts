import { setTimeout as sleep } from "node:timers/promises";
import type { DrainRecord } from "../../protocol/host-status.ts";
import type { Routes } from "../../protocol/routes.ts";
import type { Stored } from "../../scripts/benchmarks/support/deploy/bus-record.ts";
import type { WebRelease } from "../../scripts/benchmarks/support/deploy/web-release.ts";
import { Crowd } from "./crowd.ts";
import type { TimelineColours } from "./draw-timeline.ts";
import { type Bucket, bucketsOf, type Figures, figuresOf, phaseOf } from "./figures.ts";
import { deployTheOldWay } from "./old-way.ts";
import { RoutesLog } from "./routes-log.ts";
import type { FleetStage } from "./stage.ts";
import { type TimedVerb, timedVerb } from "./timed-verb.ts";

const SERVICE = "web";
const VERSIONS = ["1.0.0", "2.0.0", "3.0.0", "4.0.0"] as const;
/** How many users arrive at a time, and how much they request together. */
const GROUP = { number: 20, requestsPerSecond: 80 };
/** How long users are watched between two deploys. */
const WATCH_MS = 2_000;
/** A host that takes longer with its version has failed. */
const WAVE_TIMEOUT_MS = 60_000;

export interface FleetOutcome extends Figures {
  deploys: (TimedVerb & { version: string; reloads: number; reloadsPerUserMax: number })[];
  rollback: TimedVerb;
  /** The drains of the two versions that made room, on each host. */
  drains: DrainRecord[];
  buckets: Bucket[];
  routes: Stored<Routes>[];
  /** The same app by a plain rolling restart, or why that could not be shown. */
  oldWay: Figures | { leftOut: string };
}

export interface Telling {
  say: (line: string) => void;
  colours: TimelineColours;
  /** Whether the users stay at the end. */
  keep: boolean;
}

/** Takes a fleet through four versions and a rollback, and tells what happens. */
export async function tellFleetStory(stage: FleetStage, telling: Telling): Promise<FleetOutcome> {
  const { say } = telling;
  const chapter = chapters(telling);
  const crowd = new Crowd();
  stage.onClear(() => crowd.clear());
  const come = async (what: string) => {
    await crowd.come(stage.urls, GROUP.number, GROUP.requestsPerSecond);
    say(`   ${GROUP.number} users open the page, and ${what}`);
    await sleep(WATCH_MS, undefined, { signal: stage.signal });
  };
  const control = async (phase: string, ...words: string[]) => {
    crowd.mark(phase);
    return controlled(stage, telling, words);
  };
  const deploys: Record<string, TimedVerb> = {};
  const deploy = async (version: string, wave: string) => {
    deploys[version] = await control(version, "deploy", SERVICE, version, "--wave", wave);
  };

  chapter(
    "The stage: a bus, hosts with an agent each, and two edges, which route each request to the version that it names",
  );
  await stage.set(say);

  chapter("Four versions of a web app are built, and published on the bus");
  const releases: WebRelease[] = [];
  for (const version of VERSIONS) releases.push(await stage.publish(version));
  say(`   ${releases.map(({ version }) => `web ${version}`).join(", ")}`);

  chapter("The first deploy, into an empty fleet");
  await deploy("1.0.0", "100%");
  const routes = await RoutesLog.follow(await stage.connection(), SERVICE);

  chapter("Users arrive, and 2.0.0 takes the free slot: nobody is moved, since both versions are served");
  await come("get 1.0.0; half of them keep their connections, half open a new one for each request");
  await deploy("2.0.0", "100%");
  await come("get 2.0.0");

  chapter("3.0.0 replaces 1.0.0, two hosts at a time: users who still had 1.0.0 open are moved to 2.0.0, once");
  await deploy("3.0.0", "2");
  await come("get 3.0.0; users on 2.0.0 stay there");

  chapter("4.0.0 replaces 2.0.0 in the same way");
  await deploy("4.0.0", "2");
  await come("get 4.0.0");

  chapter("4.0.0 is rolled back: the processes of 3.0.0 never stopped, so this is only a switch");
  const rollback = await control("rollback", "rollback", SERVICE);
  await come("get 3.0.0");
  const drains = await stage.drains();
  const reports = telling.keep ? await crowd.reports() : await crowd.leave();

  chapter(
    "For comparison: the same app on as many hosts behind a plain HAProxy, restarted host after host with the next version",
  );
  const oldWay = await triedTheOldWay(stage, releases);
  say("leftOut" in oldWay ? `   left out: ${oldWay.leftOut}` : `   ${oldWay.reloads} reloads, ${oldWay.failed} failed`);

  return {
    ...figuresOf(reports, routes.changes),
    deploys: Object.entries(deploys).map(([version, verb]) => ({ version, ...verb, ...phaseOf(reports, version) })),
    rollback,
    drains,
    buckets: bucketsOf(reports),
    routes: routes.changes,
    oldWay,
  };
}

/** Whether every claim held. */
export function fleetSucceeded({ failed, wrongVersion, reloadsPerUserMax }: Figures): boolean {
  return failed === 0 && wrongVersion === 0 && reloadsPerUserMax <= 1;
}

function chapters({ say, colours }: Telling): (title: string) => void {
  let number = 0;
  return (title) => say(`\n${colours.bold(`${++number}. ${title}`)}`);
}

async function controlled(stage: FleetStage, { say, colours }: Telling, words: readonly string[]): Promise<TimedVerb> {
  say(`   ${colours.dim(`$ slotd-controller ${words.join(" ")}`)}`);
  const timeout = ["--timeout", String(WAVE_TIMEOUT_MS)];
  const timed = await timedVerb(stage, [...timeout, ...words], (line) => say(`   ${line}`));
  say(`   ${colours.dim(`in ${timed.seconds.toFixed(1)} s`)}`);
  return timed;
}

async function triedTheOldWay(
  stage: FleetStage,
  [first, second]: readonly WebRelease[],
): Promise<FleetOutcome["oldWay"]> {
  const directories = { before: first?.directory ?? "", after: second?.directory ?? "" };
  try {
    return await deployTheOldWay(stage, directories, GROUP);
  } catch (error) {
    stage.signal.throwIfAborted();
    return { leftOut: (error as Error).message.trim().split("\n").at(-1) ?? "" };
  }
}
