import { hostname } from "node:os";
import { z } from "zod";
import { absolutePath, natsConfigSchema } from "../../bus/config.ts";
import { hostToken, nameSchema } from "../../protocol/names.ts";
import { proxySchemas } from "../proxies/kinds.ts";

/** A header, cookie or query parameter: an RFC 9110 token without characters that are special in a proxy's language. */
const token = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, "must match [A-Za-z][A-Za-z0-9_-]{0,63}");

/** Where a request may name its version, in order of precedence. */
const naming = z.strictObject({
  /** The response carries the version that produced it under the same name. */
  header: token.default("X-App-Version"),
  query: token.nullable().default(null),
  cookie: token.nullable().default(null),
});

/** The configuration file. docs/edge.md explains each key. */
export const edgeConfigSchema = z.strictObject({
  service: nameSchema,
  /** This edge's name on the bus. */
  edge: nameSchema.prefault(() => hostToken(hostname().toLowerCase()).slice(0, 63)),
  proxy: z.discriminatedUnion("kind", proxySchemas),
  state_directory: absolutePath.optional(),
  nats: natsConfigSchema.prefault({}),
  naming: naming.prefault({}),
  /** What answers while nobody serves the default: nothing (503), or the other served version. */
  fallback: z.enum(["none", "previous"]).default("none"),
  /** If more than this share of the endpoints vanishes together, they are held back. */
  max_loss: z.number().min(0).max(1).default(0.5),
  /** Networks that endpoints may lie in. */
  networks: z
    .array(z.union([z.cidrv4(), z.cidrv6()], "must be a network, such as 10.0.0.0/8"))
    .min(1)
    .max(64)
    .optional(),
  /** The most ready workers of a host, all slots together. */
  max_capacity: z.int().min(1).max(999_999).default(256),
  /** Changes of members are collected for this long before they are applied. New routes are applied at once. */
  coalesce_ms: z.int().min(0).max(10_000).default(20),
  log_level: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
});

type Parsed = z.infer<typeof edgeConfigSchema>;

/** The configuration as the edge uses it: validated, with every default filled in, frozen. */
export type EdgeConfig = Readonly<Omit<Parsed, "state_directory"> & { state_directory: string }>;
