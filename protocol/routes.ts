import { z } from "zod";
import { nameSchema, timestampSchema, versionSchema } from "./names.ts";

const count = z.int().nonnegative();

/** Which versions of a service are served, and which one a request gets that names none. */
export const routesSchema = z
  .strictObject({
    epoch: count,
    /** Grows with every change of the routes, so that people can speak of one. The KV revision is what edges acknowledge. */
    revision: count,
    mode: z.enum(["atomic", "rolling"]),
    default: versionSchema,
    serving: z.array(versionSchema).min(1).max(16),
    /** Share of traffic per stage, in percent, for rolling mode. */
    stages: z.record(nameSchema, z.number().min(0).max(100)).optional(),
    updatedBy: z.string().min(1).max(256).optional(),
    updatedAt: timestampSchema.optional(),
  })
  .refine((routes) => routes.serving.includes(routes.default), { path: ["default"], error: "must be one of serving" })
  .refine((routes) => new Set(routes.serving).size === routes.serving.length, {
    path: ["serving"],
    error: "must not name a version twice",
  });
export type Routes = z.infer<typeof routesSchema>;

/** What an edge's proxy is really running with: KV revisions of the routes and of the serverset bucket. */
export const edgeStatusSchema = z.strictObject({
  edge: nameSchema,
  proxy: z.string().min(1).max(64),
  appliedRoutes: count,
  appliedServersets: count,
  at: timestampSchema,
  /** The status counts for this long after it was last seen. */
  leaseMs: z.int().positive(),
  endpoints: count,
});
export type EdgeStatus = z.infer<typeof edgeStatusSchema>;
