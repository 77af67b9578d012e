import { keys } from "../../../../protocol/subjects.ts";
import { Load } from "../load/load.ts";
import { Registrations } from "../registrations.ts";
import type { Run } from "../run.ts";
import { install, packagedAgent, startHost } from "../slot-host.ts";
import { round } from "../statistics.ts";
import { LastingWorkers, replaceAgent, untilAnswering, untilFull } from "./agent.ts";
import { type AgentKills, sumOf } from "./kills.ts";

const SLOTS = ["a", "b"];
/** Between the moment when all is well and the next kill, at most: the agent probes each slot once a second. */
const UP_MS = 1_000;
/** Light, so that the cores are there for the agent whose start is timed. */
const LOAD = { concurrency: 8, pauseMs: 50 };

export interface ServingKills extends AgentKills {
  /** From each start of the next agent until its control socket answered. */
  answerMs: number[];
}

/** Kills the agent at random moments while two slots with many workers serve, and nothing else is going on. */
export async function killWhileServing(
  run: Run,
  random: () => number,
  { workers, kills }: { workers: number; kills: number },
): Promise<ServingKills> {
  run.say(`${workers} workers, light load: ${kills} kills`);
  const { host, nats } = await startHost(run, { app: { workers } }, await packagedAgent(run));
  await install(host, "a", "v1");
  await install(host, "b", "v2");
  const load = await Load.start(run, { ...LOAD, nats, key: keys.member("web", "prod", host.name, "*") });
  const registrations = await Registrations.start(run, host, SLOTS);
  const lasting = await LastingWorkers.of(host, SLOTS);
  if (lasting.count !== workers) throw new Error(`there are ${lasting.count} workers instead of ${workers}`);
  await run.sleep(2_000);
  load.phase("killing");
  const answerMs: number[] = [];
  const startMs: number[] = [];
  for (let number = 1; number <= kills; number++) {
    await run.sleep(random() * UP_MS);
    const began = await replaceAgent(run, host);
    await untilAnswering(host);
    answerMs.push(performance.now() - began);
    await untilFull(host, SLOTS);
    startMs.push(performance.now() - began);
    await lasting.look();
    if (number % 5 === 0 || number === kills)
      run.say(`  ${number}/${kills}: all serve ${round(startMs.at(-1) as number, 0)} ms after the last start`);
  }
  await run.sleep(1_000);
  const { killing } = await load.stop();
  return {
    ...sumOf(killing ? [killing] : []),
    kills,
    workers,
    changedPids: lasting.changed,
    registrationsLost: registrations.lost.length,
    longestSilenceMs: registrations.longestSilenceMs(),
    answerMs,
    startMs,
  };
}
