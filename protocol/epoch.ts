import { z } from "zod";

/**
 * More than any service ever gets to: an epoch a second lasts 35 million years. A number beyond it is no epoch, but a
 * claim that would leave no room for later ones.
 */
export const maxEpoch = 2 ** 50;

/** Orders deploys of a service: grows with every run of a controller. */
export const epochSchema = z.int().nonnegative().max(maxEpoch, `must be at most ${maxEpoch}`);
