import type { DeployPlan } from "../../../protocol/deploy.ts";

export interface WaveHost {
  host: string;
  stage: string;
  /** It does not report. */
  absent: boolean;
}

/** How many hosts are changed at once: never more than the share, and at least one. */
export function waveSize(wave: DeployPlan["wave"], hosts: number): number {
  return "hosts" in wave ? wave.hosts : Math.max(1, Math.floor((hosts * wave.percent) / 100));
}

/** Things in groups of so many, in their order. */
export function inGroups<T>(things: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(things.length / size) }, (_, at) => things.slice(at * size, (at + 1) * size));
}

/**
 * The hosts in waves: those of the canary stage first, as a wave of their own. Hosts that do not report come last, so that the others
 * need not wait for them.
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
