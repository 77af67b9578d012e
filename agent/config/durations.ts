import { z } from "zod";

/** Longest time that a timer of Node can wait, in ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const durationMs = z
  .int()
  .nonnegative()
  .max(7 * 24 * 3600 * 1000);

export const positiveMs = z
  .int()
  .min(1)
  .max(7 * 24 * 3600 * 1000);
