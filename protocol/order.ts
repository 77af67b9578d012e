import { z } from "zod";
import { parseJson } from "./decode.ts";
import { epochSchema } from "./epoch.ts";
import { OrderMalformedError } from "./errors.ts";
import { timestampSchema, versionSchema } from "./names.ts";
import { releaseSchema } from "./release.ts";

const common = {
  /** Identifies the order: the same id again is the same order. */
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, "must match [A-Za-z0-9][A-Za-z0-9._:-]{0,127}"),
  /** Grows with every deploy. A slot refuses an epoch lower than the highest that it has seen. */
  epoch: epochSchema,
  issuedBy: z.string().min(1).max(256),
  issuedAt: timestampSchema,
};

const installSchema = z.strictObject({
  ...common,
  action: z.literal("install"),
  release: releaseSchema,
  /** Workers for this slot; overrides the host's configured share. */
  workers: z.int().min(1).max(1024).optional(),
  /** The version's role on this host from then on; by default the version with the higher epoch is current. */
  role: z.enum(["current", "previous"]).optional(),
  /** Replace the slot's version even if it is in use, without waiting for a drain. Requires a reason. */
  force: z.boolean().optional(),
  reason: z.string().min(1).max(1024).optional(),
});

const uninstallSchema = z.strictObject({
  ...common,
  action: z.literal("uninstall"),
  version: versionSchema,
  /** How long to wait for requests in flight; overrides the configured bound. */
  drainTimeoutMs: z
    .int()
    .nonnegative()
    .max(7 * 24 * 3600 * 1000)
    .optional(),
  /** Remove the version without waiting for a drain. Requires a reason. */
  force: z.boolean().optional(),
  reason: z.string().min(1).max(1024).optional(),
});

/** What a slot is to hold. The last one under service.host.slot wins. */
export const orderSchema = z
  .discriminatedUnion("action", [installSchema, uninstallSchema])
  .refine((order) => !order.force || order.reason !== undefined, {
    path: ["reason"],
    error: "is required with force",
  });
export type Order = z.infer<typeof orderSchema>;
export type InstallOrder = z.infer<typeof installSchema>;
export type UninstallOrder = z.infer<typeof uninstallSchema>;

/** The longest excerpt of a malformed order that the answer repeats. */
const MAX_SHOWN = 128;

/** The version that an order is about. */
export function orderVersion(order: Order): string {
  return order.action === "install" ? order.release.version : order.version;
}

/**
 * Reads an order as it came from the bus.
 * @throws OrderMalformedError naming the first field at fault and the rule that it breaks.
 */
export function parseOrder(text: string): Order {
  const json = parseJson(text);
  if ("broken" in json) throw new OrderMalformedError("(the whole order)", json.broken);
  const { value } = json;
  const parsed = orderSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const extra = issue?.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  // An unknown field or an id may have any length; the answer has to fit into a status.
  const field = [...(issue?.path ?? []), ...(extra === undefined ? [] : [extra])].join(".").slice(0, MAX_SHOWN);
  const rule = extra === undefined ? (issue?.message ?? "is not valid") : "is not a field of this order";
  const id = (value as { id?: unknown } | null)?.id;
  throw new OrderMalformedError(field || "(the whole order)", rule, {
    ...(typeof id === "string" && { orderId: id.slice(0, MAX_SHOWN) }),
  });
}
