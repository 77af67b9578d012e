import { z } from "zod";

const timeoutMs = z
  .int()
  .min(1)
  .max(24 * 3600 * 1000);

/** `[proxy]` for the router in this program. */
export const builtinConfigSchema = z.strictObject({
  kind: z.literal("builtin"),
  address: z.union([z.ipv4(), z.ipv6()]).default("127.0.0.1"),
  port: z.int().min(1).max(65535),
  /** After this time without a connection, another endpoint is tried. */
  connect_timeout_ms: timeoutMs.default(1_000),
  /** How long an endpoint may take to begin its response. */
  response_timeout_ms: timeoutMs.default(60_000),
});
export type BuiltinConfig = z.infer<typeof builtinConfigSchema>;
