import { isAbsolute } from "node:path";
import { z } from "zod";

const ms = (least: number, most = 3_600_000) => z.int().min(least).max(most);
/** Written into VCL, between quotes. */
const path = z
  .string()
  .refine(isAbsolute, "must be an absolute path")
  .regex(/^[\w./@+-]{1,1024}$/, "must be of letters, digits and _ . / @ + - only");

/** `[proxy]` for Varnish. docs/edge-varnish.md explains each key. */
export const varnishConfigSchema = z.strictObject({
  kind: z.literal("varnish"),
  /** The address of varnishd's command line: its `-T`. */
  host: z.string().min(1).max(253).default("127.0.0.1"),
  port: z.int().min(1).max(65535).default(6082),
  /** Its `-S`. Not needed if varnishd runs with `-S none`. */
  secret_file: z.string().refine(isAbsolute, "must be an absolute path").optional(),
  /** Where the VCL is written. varnishd must be able to read it, and starts with its `current.vcl`. */
  directory: path,
  /**
   * Several services share this varnishd: the VCL does not become the active one but gets the label `slotd_SERVICE`,
   * which the operator's active VCL returns to.
   */
  shared: z.boolean().default(false),
  /** The operator's own VCL. Its subroutines run before the edge's. */
  include: path.optional(),
  /** The shortest time from the start of one load to the start of the next. */
  min_load_interval_ms: ms(0).default(1_000),
  /** After this time without changes, changes that were made without a compilation are compiled in. */
  settle_ms: ms(0).default(5_000),
  timeout_ms: ms(100).default(5_000),
  load_timeout_ms: ms(1_000).default(120_000),
  /** Whether to cache responses that allow it. */
  cache: z.boolean().default(true),
  connect_timeout_ms: ms(1).default(1_000),
  first_byte_timeout_ms: ms(1).default(60_000),
  between_bytes_timeout_ms: ms(1).default(60_000),
});
export type VarnishConfig = z.infer<typeof varnishConfigSchema>;
