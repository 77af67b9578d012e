import { hostname } from "node:os";
import { z } from "zod";
import { absolutePath, natsConfigSchema } from "../../bus/config.ts";
import { hostSchema, nameSchema } from "../../protocol/names.ts";
import { parsePublicKey } from "../../protocol/signature.ts";
import { wildcards } from "./advertised-address.ts";
import { durationMs, MAX_TIMER_MS, positiveMs } from "./durations.ts";
import { healthSchema, livenessSchema } from "./probes.ts";

const port = z.int().min(1).max(65535);
const signal = z
  .string()
  .regex(
    /^SIG(TERM|INT|QUIT|HUP|USR1|USR2|WINCH)$/,
    "must be one of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH",
  );
/** A credential's name is a file's name in systemd's directory. */
const fileName = z.string().regex(/^(?!\.{1,2}$)[^/\0]{1,255}$/, "must be the name of a file, without a /");
/** What can be given to a program: no string with a NUL can. */
const word = z.string().refine((text) => !text.includes("\0"), "must not contain a NUL");
const environmentName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be a variable's name");

/** Variables that the agent sets itself; an app's environment can't name them. */
const OWN_VARIABLE = /^(PORT|LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|WATCHDOG_(USEC|PID)|SLOTD_.*)$/;
const NOT_OWN = "must not set PORT, LISTEN_*, NOTIFY_SOCKET, WATCHDOG_* or SLOTD_*: the agent sets those";
const hasNoOwn = (variables: object) => !Object.keys(variables).some((name) => OWN_VARIABLE.test(name));
const SECRET = 'must be { file = "/path" } or { credential = "name" }';
/** A user or group of the host, by name or number. */
const account = z.union([z.string().min(1), z.int().nonnegative()]);

const slot = z.strictObject({
  port,
  /** Workers of this slot; overrides its half of `app.workers`. */
  workers: z.int().min(1).max(1024).optional(),
  /** Its share of the processors beside the other slots, where they are busy. Needs a delegated cgroup. */
  cpu_weight: z.int().min(1).max(10_000).default(100),
});

export const environmentSchema = z.record(environmentName, word).refine(hasNoOwn, { error: NOT_OWN });

export const appSchema = z.strictObject({
  /**
   * The program and its arguments; no shell. A relative program with a `/` is looked up in the release. By default what
   * the release says.
   */
  command: z.array(word.min(1)).min(1).optional(),
  /**
   * How the app comes by its connections: it listens on the slot's socket, which it inherits; or it is a Node program
   * that listens on PORT, and gets the socket without knowing.
   */
  listen: z.enum(["socket", "node"]).default("socket"),
  environment: environmentSchema.default({}),
  /** Variables whose values are read from elsewhere at each start of a worker, and are never shown. */
  secrets: z
    .record(
      environmentName,
      z.union([z.strictObject({ file: absolutePath }), z.strictObject({ credential: fileName })], SECRET),
    )
    .default({})
    .refine(hasNoOwn, { error: NOT_OWN }),
  /** Who the workers run as; the agent's own user by default. */
  user: account.optional(),
  /** The user's own group by default. */
  group: account.optional(),
  /** In addition to those that the user is in. */
  supplementary_groups: z.array(account).default([]),
  /** No program that a worker starts gains rights by it: no setuid, no file capabilities. */
  no_new_privileges: z.boolean().default(true),
  umask: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'must be octal digits in quotes, for example "0027"')
    .optional(),
  /** Relative to the release's top. */
  working_directory: word.min(1).default("."),
  /** Workers of the host; each slot gets half. */
  workers: z.int().min(1).max(2048).default(4),
  stop_signal: signal.default("SIGTERM"),
  stop_grace_ms: durationMs.default(10_000),
  restart_backoff_min_ms: positiveMs.default(200),
  restart_backoff_max_ms: positiveMs.default(30_000),
});

export const readinessSchema = z.strictObject({
  /**
   * What a worker's readiness is taken from: that it accepts, and the slot's probe is good; or in addition `READY=1` by
   * sd_notify(3).
   */
  by: z.enum(["probe", "notify"]).default("probe"),
  /** k: how many workers must be ready; all of the slot's by default. */
  workers: z.int().min(1).optional(),
  /** T: for how long they must have been ready. */
  hold_ms: durationMs.default(500),
  /** Not ready after this long is a failed install. */
  timeout_ms: positiveMs.default(60_000),
});

/** Of each worker, with all that it starts. The first two need a delegated cgroup. */
const limits = z.strictObject({
  /** More memory than this, and the kernel ends the worker. */
  memory_max_bytes: z
    .int()
    .min(1024 ** 2)
    .optional(),
  /** Processes and threads. */
  pids_max: z.int().min(1).optional(),
  /** Open files of a process. */
  nofile: z.int().min(16).optional(),
  /** Size of a core dump; 0: none. */
  core_bytes: z.int().nonnegative().optional(),
});

/** A worker that has not said `WATCHDOG=1` for so long is replaced: sd_notify(3). Off without a time. */
const watchdog = z.strictObject({ timeout_ms: z.int().min(1_000).max(MAX_TIMER_MS).optional() });

/** A worker that exceeds one of these is replaced: the new one is ready before the old one is told to end. */
const recycle = z.strictObject({
  /** Memory of the worker with all that it has started, each page once, and without the page cache. */
  memory_bytes: z
    .int()
    .min(1024 ** 2)
    .optional(),
  /** Give or take a tenth, so that workers that were started together do not go together. */
  age_ms: z.int().min(1_000).optional(),
  /** As the worker tells: `X_SLOTD_REQUESTS=n` by sd_notify(3). */
  requests: z.int().min(1).optional(),
});

/** So many ends of every worker, within so long or in a row, are a verdict: the slot has failed. */
const crashLoop = z.strictObject({
  ends: z.int().min(2).default(5),
  within_ms: positiveMs.default(60_000),
});

const drain = z.strictObject({
  /** How long the edges have to acknowledge a withdrawal. While the bus is away it stands still. */
  edges_timeout_ms: durationMs.default(10_000),
  /** How long readers of the serverset have to see a withdrawal, where there is no edge that could acknowledge. */
  pause_ms: durationMs.default(2_000),
  /** How long a drain waits for requests in flight. It then cuts and reports those that are left. */
  timeout_ms: durationMs.default(60_000),
  /** A connection is idle if nothing moved on it for this long, once the app has sent its response. */
  quiet_ms: durationMs.default(1_000),
  /** Whether to wait for requests only, or until clients and the app have closed every connection. */
  until: z.enum(["idle", "closed"]).default("idle"),
});

/** What a release may say of itself, in a slotd.toml at its top. */
const releaseKeys = [
  "app.command",
  "app.listen",
  "app.environment",
  "app.stop_signal",
  "health.path",
  "health.host",
  "health.headers",
  "health.expect",
  "health.https",
  "readiness.by",
  "readiness.hold_ms",
  "readiness.timeout_ms",
] as const;

const releases = z.strictObject({
  /** Which of these keys of its own slotd.toml a release may set. */
  may_set: z.array(z.enum(releaseKeys)).default([...releaseKeys]),
  max_readiness_timeout_ms: positiveMs.default(10 * 60_000),
  max_archive_bytes: z
    .int()
    .positive()
    .default(4 * 1024 ** 3),
  max_unpacked_bytes: z
    .int()
    .positive()
    .default(16 * 1024 ** 3),
  max_entries: z.int().positive().default(500_000),
  stall_timeout_ms: positiveMs.default(30_000),
  fetch_attempts: z.int().min(1).max(20).default(4),
  /** Public keys, as `slotctl keygen` prints them. Where there are any, a release has to be signed by one of them. */
  trusted_keys: z
    .array(z.string().refine((key) => parsePublicKey(key) !== null, "must be ed25519: and 32 bytes in base64"))
    .default([]),
  /** Of fetches from elsewhere, in bytes a second; no bound by default. */
  fetch_bytes_per_s: z.int().min(1024).optional(),
  /** A file with `Name: value` lines that are sent with http(s) requests, for example a login. */
  fetch_headers_file: absolutePath.optional(),
  /** How many releases stay beside those in the slots, the newest first. */
  keep: z.int().nonnegative().max(1000).default(2),
  /** Bounds under which those stay: bytes of all releases, and how full their disk may be. */
  keep_max_bytes: z.int().positive().optional(),
  keep_max_disk_percent: z.int().min(1).max(100).default(80),
});

const logs = z.strictObject({
  level: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
  /** Where the workers' output goes; `auto`: to the journal where the agent's own does, else to files. */
  output: z.enum(["auto", "journal", "files"]).default("auto"),
  /** How much of the disk a worker's output file may take; the journal has bounds of its own. */
  max_worker_bytes: z
    .int()
    .min(64 * 1024)
    .default(64 * 1024 ** 2),
});

/** The configuration file, key by key. docs/config.md explains each of them. */
export const configSchema = z
  .strictObject({
    service: nameSchema,
    host: hostSchema.prefault(() => hostname().toLowerCase()),
    stage: nameSchema.default("prod"),
    /** Where the slots listen. */
    bind: z.union([z.ipv4(), z.ipv6()]).default("0.0.0.0"),
    /**
     * The address that others reach this host by, for the serverset. By default the one it listens on, or, if that is a
     * wildcard, that of the interface with the default route.
     */
    advertise: z
      .union([z.ipv4(), z.ipv6()], "must be an IP address, since edges look up no names")
      .refine((address) => !wildcards.includes(address), "must be the address of one host")
      .optional(),
    slots: z
      .record(nameSchema, slot)
      .prefault({ a: { port: 8000 }, b: { port: 8001 } })
      .refine((slots) => Object.keys(slots).length >= 1, "must have at least one slot")
      .superRefine((slots, ctx) => {
        const byPort = new Map<number, string>();
        for (const [name, { port }] of Object.entries(slots)) {
          const other = byPort.get(port);
          if (other !== undefined)
            ctx.addIssue({
              code: "custom",
              path: [name, "port"],
              message: `must differ from the port of slot ${other}`,
            });
          byPort.set(port, name);
        }
      }),
    state_directory: absolutePath.optional(),
    nats: natsConfigSchema.prefault({}),
    app: appSchema.prefault({}),
    health: healthSchema.prefault({}),
    readiness: readinessSchema.prefault({}),
    limits: limits.prefault({}),
    liveness: livenessSchema.prefault({}),
    watchdog: watchdog.prefault({}),
    recycle: recycle.prefault({}),
    crash_loop: crashLoop.prefault({}),
    drain: drain.prefault({}),
    releases: releases.prefault({}),
    control: z
      .strictObject({
        socket: absolutePath.optional(),
        /** Group that may use the socket, by name or number. */
        group: z.union([z.string().min(1), z.int().nonnegative()]).optional(),
      })
      .prefault({}),
    logs: logs.prefault({}),
  })
  .superRefine((config, ctx) => {
    const refuse = (path: string[], message: string) => ctx.addIssue({ code: "custom", path, message });
    const { app, readiness } = config;
    if (app.restart_backoff_max_ms < app.restart_backoff_min_ms)
      refuse(["app", "restart_backoff_max_ms"], "must not be less than restart_backoff_min_ms");
    if (app.command === undefined && !config.releases.may_set.includes("app.command"))
      refuse(["app", "command"], "is required where [releases] may_set leaves app.command out");
    if (app.user === undefined && app.group !== undefined) refuse(["app", "user"], "is required with app.group");
    if (app.user === undefined && app.supplementary_groups.length > 0)
      refuse(["app", "user"], "is required with app.supplementary_groups");
    const twice = Object.keys(app.secrets).find((name) => Object.hasOwn(app.environment, name));
    if (twice !== undefined) refuse(["app", "secrets", twice], "must not be in app.environment as well");
    for (const [name, { workers }] of Object.entries(slotWorkers(config)))
      if (readiness.workers !== undefined && readiness.workers > workers)
        refuse(["readiness", "workers"], `must not be more than the ${workers} workers of slot ${name}`);
  });

type Parsed = z.infer<typeof configSchema>;
type SlotConfig = z.infer<typeof slot> & { workers: number };

/** Each slot's port and its workers: what it says itself, or its equal share of `app.workers` (at least one). */
export function slotWorkers(config: Pick<Parsed, "slots" | "app">): Record<string, SlotConfig> {
  const names = Object.keys(config.slots).sort();
  const { workers: total } = config.app;
  return Object.fromEntries(
    names.map((name, i) => {
      const share = Math.floor(total / names.length) + (i < total % names.length ? 1 : 0);
      const slot = config.slots[name] as Parsed["slots"][string];
      return [name, { ...slot, workers: slot.workers ?? Math.max(1, share) }];
    }),
  );
}

/** The configuration as the agent uses it: parsed, with every default in place, frozen. */
export type Config = Readonly<
  Omit<Parsed, "slots" | "state_directory" | "advertise" | "control"> & {
    slots: Record<string, SlotConfig>;
    state_directory: string;
    advertise: string;
    control: { socket: string; group?: string | number | undefined };
  }
>;
