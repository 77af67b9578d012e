import { z } from "zod";
import { epochSchema } from "./epoch.ts";
import { wireErrorSchema } from "./host-status.ts";
import { nameSchema, sha256Schema, timestampSchema, versionSchema } from "./names.ts";

const count = z.int().nonnegative();

/** Which versions of a service are served, and which one a request gets that names none. */
export const routesSchema = z
  .strictObject({
    epoch: epochSchema,
    /**
     * Grows with every change of the routes, so that people can speak of one. The KV revision is what edges
     * acknowledge.
     */
    revision: count,
    mode: z.enum(["atomic", "rolling"]),
    default: versionSchema,
    serving: z.array(versionSchema).min(1).max(16),
    /**
     * Version → the digest of its release. An endpoint that serves a version with another digest is not that version,
     * and gets nothing.
     */
    digests: z.record(versionSchema, sha256Schema).optional(),
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

/** What is wrong at an edge; `key` is the member at fault, where it is one. */
const edgeProblemSchema = wireErrorSchema.extend({ key: z.string().max(512).optional() });

/**
 * What an edge's proxy is really running with, never what it is about to. The revisions are KV revisions, of the
 * routes' key and of the serverset bucket; 0 is nothing yet, or a proxy that does not run.
 */
export const edgeStatusSchema = z.strictObject({
  service: nameSchema,
  edge: nameSchema,
  /** The proxy's kind, such as `haproxy`. */
  proxy: z.string().min(1).max(64),
  appliedRoutes: count,
  /** Everything that the bucket held of this service up to this revision is applied. */
  appliedServersets: count,
  /**
   * The epoch of the applied routes; 0 before there are any. A number that is acknowledged by another epoch's edge
   * means nothing.
   */
  epoch: epochSchema,
  /** The versions that the proxy routes to, and the one that it gives to whoever names none. */
  serving: z.array(versionSchema).max(16),
  default: versionSchema.nullable(),
  at: timestampSchema,
  /** The status counts for this long after it was last seen. */
  leaseMs: z.int().positive(),
  /** Endpoints in use, all versions together. */
  endpoints: count,
  /** Endpoints that are gone from the serverset and kept all the same, since too many went at once. */
  heldBack: count,
  problems: z.array(edgeProblemSchema).max(16),
});
export type EdgeStatus = z.infer<typeof edgeStatusSchema>;

/** How often an edge reports, and how long a report counts. */
export const edgeHeartbeatMs = 5_000;
export const edgeLeaseMs = 15_000;
