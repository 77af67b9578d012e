import type { DeployPlan } from "../../../protocol/deploy.ts";

export interface WaveHost {
  host: string;
  stage: string;
  /** It does not report. */
  absent: boolean;
}

/** How many hosts are changed at once: at most the share, and at least one. */
export function waveSize(wave: DeployPlan["wave"], hosts: number): number {
  return "hosts" in wave ? wave.hosts : Math.max(1, Math.floor((hosts * wave.percent) / 100));
}

/** Splits a list into groups of a size, in order. */
export function inGroups<T>(things: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(things.length / size) }, (_, at) => things.slice(at * size, (at + 1) * size));
}

/**
 * Splits hosts into waves. Those of the canary stage come first, in a wave of their own. Hosts that do not report come
 * last, so that the others need not wait for them.
 */
export function planWaves(
  hosts: readonly WaveHost[],
  { wave, canaryStage }: Pick<DeployPlan, "wave" | "canaryStage">,
): string[][] {
  const sorted = hosts.toSorted((x, y) => Number(x.absent) - Number(y.absent) || (x.host < y.host ? -1 : 1));
  const isCanary = ({ stage, absent }: WaveHost) => stage === canaryStage && !absent;
  const canaries = sorted.filter(isCanary).map(({ host }) => host);
  const others = sorted.filter((host) => !isCanary(host)).map(({ host }) => host);
  const size = waveSize(wave, others.length);
  return [...(canaries.length > 0 ? [canaries] : []), ...inGroups(others, size)];
}
