import { z } from "zod";
import { nameSchema, sha256Schema, timestampSchema, versionSchema } from "./names.ts";

const count = z.int().nonnegative();

/** A release on a host, as `slotctl releases` shows it. */
export const releaseStatusSchema = z.object({
  version: versionSchema,
  sha256: sha256Schema,
  /** Digest of the tree; null where an earlier version of slotd installed it. */
  tree: sha256Schema.nullable(),
  installedAt: timestampSchema,
  bytes: count,
  /** Of these, what is in files that other releases have too. Null where that can't be told. */
  sharedBytes: count.nullable(),
  /** The slots that hold it, or are about to. */
  slots: z.array(nameSchema),
  role: z.enum(["current", "previous"]).nullable(),
});
export type ReleaseStatus = z.infer<typeof releaseStatusSchema>;

/** Where an installed tree is not what its manifest says. */
export const differenceSchema = z.object({
  path: z.string(),
  what: z.enum(["missing", "extra", "type", "mode", "content"]),
});
export type Difference = z.infer<typeof differenceSchema>;

/** What `slotctl verify VERSION` found. */
export const verificationSchema = z.object({
  version: versionSchema,
  tree: sha256Schema,
  bytes: count,
  good: z.boolean(),
  /** The first 1000 of them. */
  differences: z.array(differenceSchema),
});
export type Verification = z.infer<typeof verificationSchema>;
