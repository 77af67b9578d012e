/**
 * The id of the run that ./scripts/test started this process for, in the names of what is found by name when the run is
 * over.
 */
export const runId: string = process.env.SLOTD_TEST_RUN ?? "alone";

/** What a program of a run that gets an environment of its own must have in it, to be found when the run is over. */
export const runEnvironment: Record<string, string> = { SLOTD_TEST_RUN: runId };
