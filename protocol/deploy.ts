import { z } from "zod";
import { nameSchema, timestampSchema, versionSchema } from "./names.ts";

/** The state of a service's deploys: the epoch counter, and who is deploying what. Changed by compare-and-set only. */
export const deploySchema = z.strictObject({
  service: nameSchema,
  /** The last epoch that was handed out. */
  epoch: z.int().nonnegative(),
  lock: z.strictObject({ holder: z.string().min(1), since: timestampSchema, leaseMs: z.int().positive() }).nullable(),
  version: versionSchema.nullable(),
  step: z.string().max(64).nullable(),
  /** Per host: where it is in this deploy. */
  progress: z.record(z.string(), z.string()),
});
export type Deploy = z.infer<typeof deploySchema>;
