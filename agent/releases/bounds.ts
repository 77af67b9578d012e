/** Limits for a release, each from the key of the same name in [releases]. */
export interface ReleaseBounds {
  maxArchiveBytes: number;
  /** Sum of the sizes of all files, as the archive's headers state them, and of its extended headers. */
  maxUnpackedBytes: number;
  /** Files, links and directories, including directories that entries only imply. */
  maxEntries: number;
  /** How long a source may send nothing. */
  stallTimeoutMs: number;
  /** Including the first. */
  fetchAttempts: number;
  /** Bytes per second; null: unlimited. */
  fetchBytesPerS: number | null;
  /** A file with headers for http(s). */
  fetchHeadersFile: string | null;
  /** Public keys. None: releases need no signature. */
  trustedKeys: readonly string[];
}

/** A step's progress: bytes of a fetch, or entries of an unpacking. `total` is 0 while it is unknown. */
export interface StepProgress {
  done: number;
  total: number;
}

/** Options of both fetch and unpack. An abort ends them with the signal's reason. */
export interface StepOptions {
  signal: AbortSignal;
  onProgress(progress: StepProgress): void;
}
