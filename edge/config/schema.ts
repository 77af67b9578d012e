import { hostname } from "node:os";
import { z } from "zod";
import { absolutePath, natsConfigSchema } from "../../bus/config.ts";
import { hostToken, nameSchema } from "../../protocol/names.ts";
import { builtinConfigSchema } from "../proxies/builtin/config.ts";
import { haproxyConfigSchema } from "../proxies/haproxy/config.ts";
import { varnishConfigSchema } from "../proxies/varnish/config.ts";

/** A header, cookie or query parameter: a token of RFC 9110, less what is special to a proxy's own language. */
const token = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, "must match [A-Za-z][A-Za-z0-9_-]{0,63}");

/** Where a request names its version. Asked in this order; the first that names any version counts. */
const naming = z.strictObject({
  /** The response names the version that it came from under the same name. */
  header: token.default("X-App-Version"),
  query: token.optional(),
  cookie: token.optional(),
});

/** The configuration file, key by key. docs/edge.md explains each of them. */
export const configSchema = z.strictObject({
  service: nameSchema,
  /** This edge's name on the bus. */
  edge: nameSchema.prefault(() => hostToken(hostname().toLowerCase()).slice(0, 63)),
  proxy: z.discriminatedUnion("kind", [builtinConfigSchema, varnishConfigSchema, haproxyConfigSchema]),
  state_directory: absolutePath.optional(),
  nats: natsConfigSchema.prefault({}),
  naming: naming.prefault({}),
  /** Whom to ask where nobody serves the default: nobody (503), or the version beside it. */
  fallback: z.enum(["none", "previous"]).default("none"),
  /** More than this share of the endpoints vanishing together is held back. */
  max_loss: z.number().min(0).max(1).default(0.5),
  /** Changes of members are collected for this long before they are applied; new routes are applied at once. */
  coalesce_ms: z.int().min(0).max(10_000).default(20),
  log_level: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
});

type Parsed = z.infer<typeof configSchema>;

/** The configuration as the edge uses it: parsed, with every default in place, frozen. */
export type Config = Readonly<Omit<Parsed, "state_directory"> & { state_directory: string }>;
