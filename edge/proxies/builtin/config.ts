import { z } from "zod";

const timeoutMs = z
  .int()
  .min(1)
  .max(24 * 3600 * 1000);

/** The keys of `[proxy]` for the router in this program. */
export const builtinConfigSchema = z.strictObject({
  kind: z.literal("builtin"),
  address: z.union([z.ipv4(), z.ipv6()]).default("127.0.0.1"),
  port: z.int().min(1).max(65535),
  /** An endpoint that takes no connection in this time is passed over. */
  connect_timeout_ms: timeoutMs.default(1_000),
  /** How long an endpoint has to begin its answer. */
  response_timeout_ms: timeoutMs.default(60_000),
});
export type BuiltinConfig = z.infer<typeof builtinConfigSchema>;
