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
  /** Bytes a second; null: no bound. */
  fetchBytesPerS: number | null;
  /** A file with headers for http(s). */
  fetchHeadersFile: string | null;
  /** Public keys. None: releases need no signature. */
  trustedKeys: readonly string[];
}

/** How far a step is: bytes of a fetch, entries of an unpacking. `total` is 0 while it is unknown. */
export interface StepProgress {
  done: number;
  total: number;
}

/** What fetch and unpack take beside their subject. An abort ends them with the signal's reason. */
export interface StepOptions {
  signal: AbortSignal;
  onProgress(progress: StepProgress): void;
}
