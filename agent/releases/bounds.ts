import type { Config } from "../config/schema.ts";

/** What a release may cost. Each comes from the key of the same name in [releases]. */
export interface ReleaseBounds {
  maxArchiveBytes: number;
  /** Sum of the sizes of all files, as the archive's headers state them. */
  maxUnpackedBytes: number;
  /** Files, links and directories, with the directories that entries only imply. */
  maxEntries: number;
  /** How long a source may send nothing. */
  stallTimeoutMs: number;
  /** Tries in all, the first one included. */
  fetchAttempts: number;
}

export function releaseBounds(releases: Config["releases"]): ReleaseBounds {
  return {
    maxArchiveBytes: releases.max_archive_bytes,
    maxUnpackedBytes: releases.max_unpacked_bytes,
    maxEntries: releases.max_entries,
    stallTimeoutMs: releases.stall_timeout_ms,
    fetchAttempts: releases.fetch_attempts,
  };
}

/** How far a step is: bytes of a fetch, entries of an unpacking. `total` is 0 while it is unknown. */
export interface Progress {
  done: number;
  total: number;
}

/** What fetch and unpack take beside their subject. An abort ends them with the signal's reason. */
export interface StepOptions {
  signal: AbortSignal;
  onProgress(progress: Progress): void;
}
