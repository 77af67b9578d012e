/** Who kills installs: a benchmark's run, or a test. */
export interface Owner {
  /** Aborted when it is being ended from outside. */
  readonly signal: AbortSignal;
  /** Takes over something that has to be undone at its end. */
  own(cleanUp: () => unknown): void;
}
