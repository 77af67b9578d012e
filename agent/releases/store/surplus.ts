/** An installed release, as far as keeping it is concerned. */
export interface KeptRelease {
  version: string;
  /** ISO 8601. */
  installedAt: string;
  bytes: number;
}

export interface KeepPolicy {
  /** How many stay beside those in use, the newest first. */
  keep: number;
  /** Of all releases together, those in use too; null: no bound. */
  maxBytes: number | null;
  /** How full the disk may be for those that are not in use to stay, in bytes and in inodes. */
  maxDiskPercent: number;
}

/** How full a disk is: shares of 100. */
export interface Fullness {
  bytesPercent: number;
  inodesPercent: number;
}

/**
 * The release that is to go next, the oldest first; null: all that are there may stay. Pure: what is removed, is no
 * more there at the next call.
 * @param inUse versions that stay whatever happens
 */
export function surplus(
  releases: readonly KeptRelease[],
  inUse: ReadonlySet<string>,
  { keep, maxBytes, maxDiskPercent }: KeepPolicy,
  disk: Fullness,
): string | null {
  const spare = releases
    .filter(({ version }) => !inUse.has(version))
    .sort((x, y) => x.installedAt.localeCompare(y.installedAt) || x.version.localeCompare(y.version));
  const oldest = spare[0]?.version ?? null;
  const bytes = releases.reduce((sum, release) => sum + release.bytes, 0);
  const tooMany = spare.length > keep;
  const tooLarge = maxBytes !== null && bytes > maxBytes;
  const tooFull = Math.max(disk.bytesPercent, disk.inodesPercent) > maxDiskPercent;
  return tooMany || tooLarge || tooFull ? oldest : null;
}
