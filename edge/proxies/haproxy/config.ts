import { isAbsolute } from "node:path";
import { z } from "zod";

const ms = (least: number, most = 24 * 3600 * 1000) => z.int().min(least).max(most);
/** Written into HAProxy's configuration and into its commands. */
const path = z
  .string()
  .refine(isAbsolute, "must be an absolute path")
  .regex(/^[\w./@+-]{1,900}$/, "must be of letters, digits and _ . / @ + - only");

/** `[proxy]` for HAProxy. docs/edge-haproxy.md explains each key. Keys marked B are part of the base configuration. */
const keys = z.strictObject({
  kind: z.literal("haproxy"),
  /** B. The unix socket of the runtime API, with level admin. */
  socket: path,
  /** B. The group that may use it. */
  socket_group: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, "must be the name of a group")
    .optional(),
  /** B. The files that HAProxy starts from: the map of versions and the state of its servers. */
  directory: path,
  /** B. Several services share the operator's own frontend, which sends requests to the backend `slotd.SERVICE`. */
  shared: z.boolean().default(false),
  /** B. The arguments of each `bind` line: an address and port, and options such as `ssl crt FILE`. */
  bind: z
    .array(
      z
        .string()
        .min(1)
        .max(1024)
        .regex(/^[\x20-\x7e]+$/, "must be one line of ASCII"),
    )
    .min(1)
    .optional(),
  /** B. The number of versions that fit: those served before and after a change, together. */
  places: z.int().min(2).max(64).default(8),
  /** B. The most endpoints of one version. */
  servers_per_place: z.int().min(1).max(4096).default(64),
  /** B. */
  balance: z.enum(["roundrobin", "leastconn", "random"]).default("roundrobin"),
  /** B. */
  connect_timeout_ms: ms(1).default(1_000),
  /** B. Without a byte from the client, from the server, or in either direction after an upgrade. */
  client_timeout_ms: ms(1).default(60_000),
  server_timeout_ms: ms(1).default(60_000),
  tunnel_timeout_ms: ms(1).default(3_600_000),
  /** For the runtime API. */
  timeout_ms: ms(100, 600_000).default(5_000),
});
export const haproxyConfigSchema = keys.refine(({ shared, bind }) => !shared || bind === undefined, {
  path: ["bind"],
  message: "must be left out if shared is true: requests come from your own frontend",
});
export type HaproxyConfig = z.infer<typeof haproxyConfigSchema>;
