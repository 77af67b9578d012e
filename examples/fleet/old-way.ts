import { setTimeout as sleep } from "node:timers/promises";
import { RollingFleet } from "../../scripts/benchmarks/support/deploy/rolling-fleet.ts";
import { Crowd } from "./crowd.ts";
import { type Figures, figuresOf } from "./figures.ts";
import type { FleetStage } from "./stage.ts";

const PROCESSES = 2;
const WATCH_MS = 1_000;
/** A deploy that is killed while it starts a process may leave that process behind. */
const SETTLE_MS = 1_000;

/**
 * The same app and users, with as many hosts behind a plain HAProxy, deployed by restarting host after host with the
 * new version.
 * @param releases directories of the version before and the version after
 * @throws where there is no HAProxy
 */
export async function deployTheOldWay(
  stage: FleetStage,
  releases: { before: string; after: string },
  users: { number: number; requestsPerSecond: number },
): Promise<Figures> {
  const { signal } = stage;
  const hosts = stage.hosts.length;
  const fleet = await RollingFleet.start({
    hosts,
    processesPerHost: PROCESSES,
    release: releases.before,
    network: "127.0.2",
  });
  let deploying: Promise<unknown> = Promise.resolve();
  const end = async () => {
    await fleet.stop();
    await Promise.race([deploying, sleep(SETTLE_MS)]);
    await fleet.stop();
  };
  stage.onClear(end);
  const crowd = new Crowd();
  stage.onClear(() => crowd.clear());
  await crowd.come([fleet.url], users.number, users.requestsPerSecond);
  await sleep(WATCH_MS, undefined, { signal });
  crowd.mark("rolling");
  deploying = fleet.deploy(releases.after).catch((error: Error) => error);
  const failure = await Promise.race([deploying, aborted(signal)]);
  signal.throwIfAborted();
  if (failure instanceof Error) throw failure;
  await sleep(WATCH_MS, undefined, { signal });
  const figures = figuresOf(await crowd.leave(), []);
  await end();
  return figures;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
