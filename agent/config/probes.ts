import { z } from "zod";
import { MAX_TIMER_MS, positiveMs } from "./durations.ts";

const urlPath = z
  .string()
  .regex(/^\/[\x21-\x7e]*$/, "must begin with / and hold no space or other character that a URL can't");

/** What a probe asks for, and which answer is good. */
const asking = {
  /** The Host header; where a probe of https looks for the certificate's name, too. */
  host: z
    .string()
    .regex(/^[A-Za-z0-9.-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/, "must be a host name, with or without a port")
    .optional(),
  headers: z
    .record(
      z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "must be a header's name"),
      z.string().regex(/^[\t\x20-\x7e]*$/, "must be printable ASCII"),
    )
    .default({}),
  /** Statuses that are good; by default those below 400, but for redirects to another scheme or host. */
  expect: z.array(z.int().min(200).max(599)).min(1).optional(),
  /** `verified`: with a certificate that the host trusts; `unverified`: with any. */
  https: z.enum(["off", "verified", "unverified"]).default("off"),
};

export const healthSchema = z.strictObject({
  path: urlPath.default("/healthz"),
  ...asking,
  interval_ms: z.int().min(50).max(MAX_TIMER_MS).default(1_000),
  timeout_ms: positiveMs.default(2_000),
  /** Good probes in a row that make a slot healthy, and bad ones that make it unhealthy. */
  rise: z.int().min(1).max(100).default(1),
  fall: z.int().min(1).max(100).default(3),
});

/** GET on a socket of each worker's own, which it gets as descriptor 4. Off without a path. */
export const livenessSchema = z.strictObject({
  path: urlPath.optional(),
  ...asking,
  interval_ms: z.int().min(100).max(MAX_TIMER_MS).default(5_000),
  timeout_ms: positiveMs.default(2_000),
  rise: z.int().min(1).max(100).default(1),
  fall: z.int().min(1).max(100).default(3),
});

/** The parts of `[health]` that one probe needs. */
export type ProbeConfig = Pick<z.infer<typeof healthSchema>, "path" | "timeout_ms" | keyof typeof asking>;
