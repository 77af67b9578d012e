import { z } from "zod";
import { maxEpoch } from "../../protocol/epoch.ts";
import { drainRecordSchema, wireErrorSchema } from "../../protocol/host-status.ts";
import { orderSchema } from "../../protocol/order.ts";
import { releaseSchema } from "../../protocol/release.ts";
import { orderOutcomes } from "../../protocol/states.ts";

const identitySchema = z.object({ pid: z.int().positive(), startTime: z.int(), bootId: z.string() });

const orderRecordSchema = z.object({
  order: orderSchema,
  outcome: z.enum(orderOutcomes),
  error: wireErrorSchema.optional(),
});
/** An accepted order and what became of it. */
export type OrderRecord = z.infer<typeof orderRecordSchema>;

/** An epoch beyond the highest was never handed out. It is forgotten, so that it makes no later order stale. */
const epochSchema = z
  .int()
  .nonnegative()
  .transform((epoch) => (epoch > maxEpoch ? 0 : epoch));

const residentSchema = z.object({
  release: releaseSchema,
  /** In place of the slot's configured share. */
  workers: z.int().positive().optional(),
  /** As the order said. */
  role: z.enum(["current", "previous"]).optional(),
  epoch: epochSchema,
  /** It was ready at least once. Only then does the agent bring it back after a failure. */
  proven: z.boolean(),
});
/** The release that a slot holds. */
export type Resident = z.infer<typeof residentSchema>;

const slotJournalSchema = z.object({
  /** The highest epoch of an accepted order. */
  epoch: epochSchema,
  order: orderRecordSchema.nullable(),
  /** Earlier orders by id, newest last, so that a repeat gets the recorded outcome. */
  history: z.array(
    z.object({
      id: z.string(),
      fingerprint: z.string(),
      outcome: z.enum(orderOutcomes),
      error: wireErrorSchema.optional(),
    }),
  ),
  resident: residentSchema.nullable(),
  /** An operator's drain, held until `undrain`. */
  held: z.object({ by: z.string(), reason: z.string().optional() }).nullable(),
  /** The workers were told to end: after a crash they are not taken over any more. */
  stopping: z.boolean(),
  workers: z.array(
    z.object({
      number: z.int().nonnegative(),
      startedAt: z.number(),
      identity: identitySchema,
      /** Where its own output begins, see `OutputStart`. */
      outputStart: z.string().nullable().optional(),
    }),
  ),
  lastDrain: drainRecordSchema.nullable(),
  /** The verdict of a crash loop, which took a serving slot out of service. Cleared by a new order or a restart. */
  condemned: wireErrorSchema.nullable().default(null),
  /** An order took the resident away: it never serves again by itself, whatever becomes of the order. */
  leaving: z.boolean().default(false),
});
export type SlotJournal = z.infer<typeof slotJournalSchema>;

/**
 * Increased when an older agent could not read the journal any more, or would lose part of it that it needs. An agent
 * of before `leaving` that is put back brings up again what was being removed, as it always did.
 */
export const JOURNAL_FORMAT = 1;

export const journalSchema = z.object({
  format: z.literal(JOURNAL_FORMAT),
  slots: z.record(z.string(), slotJournalSchema),
});
export type JournalContent = z.infer<typeof journalSchema>;

const newerSchema = z.object({ format: z.int().gt(JOURNAL_FORMAT) });

/** Whether something is a journal that a newer agent wrote, whatever else is in it. */
export function isNewer(value: unknown): value is z.infer<typeof newerSchema> {
  return newerSchema.safeParse(value).success;
}

export function emptySlotJournal(): SlotJournal {
  return {
    epoch: 0,
    order: null,
    history: [],
    resident: null,
    held: null,
    stopping: false,
    workers: [],
    lastDrain: null,
    condemned: null,
    leaving: false,
  };
}
