import type { Release } from "../../../../protocol/release.ts";
import { keys } from "../../../../protocol/subjects.ts";
import type { Host } from "../../../../test/support/agent/host.ts";
import { releaseOfApp } from "../app.ts";
import { Load } from "../load/load.ts";
import { Registrations } from "../registrations.ts";
import type { Run } from "../run.ts";
import { install, packagedAgent, startHost } from "../slot-host.ts";
import { round } from "../statistics.ts";
import { LastingWorkers, replaceAgent, untilFull } from "./agent.ts";
import { type Part, partReached, timeParts } from "./install-parts.ts";
import { type AgentKills, sumOf } from "./kills.ts";

const STAYS = "a";
const REPLACED = "b";
const DONE_WITHIN_MS = 60_000;
/** Where a kill may find an install. */
const REACHED = ["fetching", "draining", "stopping", "removing", "starting", "done"];

export interface InstallKills extends AgentKills {
  /** How many kills found an install in which part. */
  parts: Record<string, number>;
  /** From each start of the next agent until the install that it found was done. */
  doneMs: number[];
  /** Why installs did not come to their end, one entry for each of them. */
  notDone: string[];
}

interface Options {
  workers: number;
  kills: number;
  load: { concurrency: number; pauseMs: number };
}

/**
 * One kill in the midst of an install, and what came of it. Its times are ms after the order, and after the next
 * agent's start.
 */
interface Kill {
  atMs: number;
  part: string;
  startMs: number;
  doneMs: number;
  /** Null where the install was done. */
  notDone: string | null;
}

/** Kills the agent at random moments in the midst of installs into one slot; the other one is not to notice. */
export async function killInInstalls(run: Run, random: () => number, options: Options): Promise<InstallKills> {
  const { workers, kills: count } = options;
  run.say(`\n${workers} workers, load, an install under way: ${count} kills`);
  const { host, nats } = await startHost(run, { app: { workers } }, await packagedAgent(run));
  await install(host, STAYS, "v1");
  await install(host, REPLACED, "v2");
  const parts = await timeParts(host, REPLACED, await releaseOfApp(host.archives, "v3"));
  run.say(`  undisturbed: ${parts.map(({ name, toMs }) => `${name} until ${round(toMs, 0)} ms`).join(", ")}`);
  const load = await Load.start(run, { ...options.load, nats, key: keys.member("web", "prod", host.name, "*") });
  const registrations = await Registrations.start(run, host, [STAYS]);
  const lasting = await LastingWorkers.of(host, [STAYS]);
  await run.sleep(2_000);
  const kills: Kill[] = [];
  for (let number = 1; number <= count; number++) {
    const release = await releaseOfApp(host.archives, `v${number + 3}`);
    const logged = host.log().length;
    load.phase(`kill ${number}`);
    const kill = await killOnce(run, host, release, momentIn(parts, random));
    kills.push(kill);
    await lasting.look();
    run.say(`  ${number}/${count}: ${tell(kill)}`);
    if (kill.notDone !== null) run.say(`${kill.notDone}\n${host.log().slice(logged)}`);
    await run.sleep(200);
  }
  const { "warm-up": _, ...phases } = await load.stop();
  for (const [name, { failed }] of Object.entries(phases)) if (failed > 0) run.say(`  ${name}: ${failed} failed`);
  return {
    ...sumOf(Object.values(phases)),
    kills: count,
    workers: lasting.count,
    changedPids: lasting.changed,
    registrationsLost: registrations.lost.length,
    longestSilenceMs: registrations.longestSilenceMs(),
    startMs: kills.map(({ startMs }) => startMs),
    doneMs: kills.map(({ doneMs }) => doneMs),
    parts: Object.fromEntries(REACHED.map((name) => [name, kills.filter(({ part }) => part === name).length])),
    notDone: kills.map(({ notDone }) => notDone).filter((why) => why !== null),
  };
}

async function killOnce(run: Run, host: Host, release: Release, atMs: number): Promise<Kill> {
  const logged = host.log().length;
  const id = await host.install(REPLACED, release);
  await run.sleep(atMs);
  const began = await replaceAgent(run, host);
  const part = partReached(host.log().slice(logged), REPLACED);
  await untilFull(host, [STAYS]);
  const startMs = performance.now() - began;
  const notDone = await whyNotDone(host, id, release.version);
  return { atMs, part, startMs, doneMs: performance.now() - began, notDone };
}

async function whyNotDone(host: Host, id: string, version: string): Promise<string | null> {
  try {
    const slot = await host.untilOrder(REPLACED, id, DONE_WITHIN_MS);
    const isDone = slot.order?.outcome === "done" && slot.state === "serving" && slot.version === version;
    return isDone ? null : JSON.stringify(slot);
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * A random moment in a part that is drawn as well: most of an install is a pause, and most of what can go wrong is not.
 */
function momentIn(parts: readonly Part[], random: () => number): number {
  const { fromMs, toMs } = parts[Math.floor(random() * parts.length)] as Part;
  return fromMs + random() * (toMs - fromMs);
}

function tell({ atMs, part, startMs, doneMs, notDone }: Kill): string {
  const end = notDone === null ? `install done after ${round(doneMs, 0)} ms` : "install NOT done";
  return `killed ${round(atMs, 0)} ms after the order (${part}); slot ${STAYS} full after ${round(startMs, 0)} ms, ${end}`;
}
