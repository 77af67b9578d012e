import { z } from "zod";
import { hostSchema, nameSchema, timestampSchema, versionSchema } from "./names.ts";

/**
 * Something that happened, for people and audits. `kind` is a stable identifier; `message` is a sentence in the past
 * tense.
 */
export const eventSchema = z.object({
  at: timestampSchema,
  service: nameSchema,
  /** The host; `controller` for a deploy, `edge` for an edge. */
  host: hostSchema,
  /** The slot, or `-` for the agent itself. */
  slot: z.string(),
  kind: z.enum(["agent", "order", "state", "worker", "drain", "release", "bus", "deploy", "edge", "error"]),
  message: z.string(),
  version: versionSchema.optional(),
  orderId: z.string().optional(),
  code: z.string().optional(),
  facts: z.record(z.string(), z.unknown()).optional(),
});
export type Event = z.infer<typeof eventSchema>;
