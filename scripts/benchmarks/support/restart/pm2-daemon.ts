import { isAlive } from "../../../../agent/os/process.ts";
import { untilAnswers } from "../app.ts";
import { Load } from "../load/load.ts";
import { Pm2, type Pm2Options } from "../pm2.ts";
import { identifyAll } from "../processes.ts";
import type { Run } from "../run.ts";
import { type Kills, type Requests, sumOf } from "./kills.ts";

/** In which PM2 tries what fails again and again, until it gives up. */
const SETTLE_MS = 3_000;

export interface DaemonKills extends Kills {
  /** Of the workers that changed: those that live on, and that the next daemon does not know. */
  unknown: number;
  /** From each kill until the port answered again. */
  answersMs: number[];
}

type Options = Pm2Options & { kills: number; load: { concurrency: number; pauseMs: number } };

/** Kills PM2's daemon under load, and brings it back as its systemd unit does. Each time it is a PM2 of its own. */
export async function killPm2(run: Run, random: () => number, options: Options): Promise<DaemonKills> {
  const { kills, instances, mode } = options;
  run.say(`\nPM2, ${mode} mode, ${instances} workers: ${kills} kills`);
  const rounds: Round[] = [];
  for (let number = 1; number <= kills; number++) {
    const round = await run.scope(() => killOnce(run, random, options));
    rounds.push(round);
    const { requests, failed, ended, unknown } = round;
    run.say(
      `  ${number}/${kills}: ${failed} of ${requests} requests failed; ${ended} workers ended, ${unknown} unknown`,
    );
  }
  const total = (key: "ended" | "unknown") => rounds.reduce((sum, round) => sum + round[key], 0);
  return {
    ...sumOf(rounds),
    kills,
    workers: instances,
    changedPids: total("ended") + total("unknown"),
    unknown: total("unknown"),
    answersMs: rounds.map(({ answersMs }) => answersMs),
  };
}

interface Round extends Requests {
  ended: number;
  unknown: number;
  answersMs: number;
}

async function killOnce(run: Run, random: () => number, { instances, mode, load: options }: Options): Promise<Round> {
  const pm2 = await Pm2.start(run, { instances, mode });
  await pm2.save();
  const workers = identifyAll(pm2.pids());
  const load = await Load.start(run, { ...options, port: pm2.port });
  await run.sleep(1_000);
  load.phase("killing");
  await run.sleep(random() * 1_000);
  await pm2.killDaemon();
  const began = performance.now();
  await pm2.resurrect();
  await untilAnswers(pm2.port);
  const answersMs = performance.now() - began;
  await run.sleep(SETTLE_MS);
  const { killing } = await load.stop();
  const living = workers.filter(isAlive);
  const known = pm2.pids();
  const unknown = living.filter(({ pid }) => !known.includes(pid)).length;
  return { ...sumOf(killing ? [killing] : []), ended: workers.length - living.length, unknown, answersMs };
}
