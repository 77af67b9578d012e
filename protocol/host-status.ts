import { z } from "zod";
import { hostSchema, nameSchema, sha256Schema, timestampSchema, versionSchema } from "./names.ts";
import { drainClauses, orderOutcomes, slotStates } from "./states.ts";

const count = z.int().nonnegative();

/** An error as it crosses the wire: a stable code, a sentence, and the field at fault where there is one. */
export const wireErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  field: z.string().optional(),
  orderId: z.string().optional(),
  at: timestampSchema.optional(),
});
export type WireError = z.infer<typeof wireErrorSchema>;

/** The result of a drain. Durations are milliseconds on the monotonic clock. */
export const drainRecordSchema = z.object({
  version: versionSchema,
  startedAt: timestampSchema,
  durationMs: count,
  /** KV revision of the withdrawal that edges had to acknowledge; absent if the bus was away. */
  revision: count.optional(),
  /** What ended the wait for the edges. */
  edges: z.enum(drainClauses),
  /** The edges that had not acknowledged the withdrawal when that wait ended; absent if there was no wait. */
  missingEdges: z.array(nameSchema).optional(),
  /** What ended the wait for requests in flight. */
  idle: z.enum(drainClauses),
  /** Connections without a request that were still open at the end, and that the app could close itself. */
  idleConnections: count,
  /**
   * Connections that the app kept open after its stop signal, such as WebSockets and quiet streams, and that were cut
   * when the drain's time was up. Not among those above. Absent in records of versions that did not tell them apart.
   */
  cutUpgraded: count.optional(),
  /** Requests that were still in flight at the end and were cut. */
  cutRequests: count,
  reason: z.string().optional(),
});
export type DrainRecord = z.infer<typeof drainRecordSchema>;

/** How a worker ended. */
export const workerEndSchema = z.object({
  worker: count,
  pid: count,
  version: versionSchema,
  /**
   * `crashed`: by itself. `stopped`: by the stop signal, as asked. `killed`: by SIGKILL after the grace. `lost`: found
   * dead, without a status. `oom`: by the kernel, over its memory limit. `hung`: it missed its watchdog, or did not
   * come up. `unhealthy`: its liveness probes failed. `recycled`: another took its place, by the rules of [recycle].
   */
  reason: z.enum(["crashed", "stopped", "killed", "lost", "oom", "hung", "unhealthy", "recycled"]),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  ranMs: count,
  at: timestampSchema,
});
export type WorkerEnd = z.infer<typeof workerEndSchema>;

/** A long-running step and its progress. */
export const progressSchema = z.object({
  step: z.string(),
  version: versionSchema.optional(),
  done: count,
  total: count,
  unit: z.enum(["bytes", "entries", "workers", "connections", "edges"]),
});
export type Progress = z.infer<typeof progressSchema>;

/** Readers count this many slots of a host. More are a claim that would only make everybody wait. */
export const maxSlotsPerHost = 8;

export const slotStatusSchema = z.object({
  slot: nameSchema,
  state: z.enum(slotStates),
  /** When the slot entered this state. */
  since: timestampSchema,
  port: z.int(),
  version: versionSchema.nullable(),
  sha256: sha256Schema.nullable(),
  /** The version's role on this host, as ordered; absent where no order said. */
  role: z.enum(["current", "previous"]).optional(),
  workers: z.object({ wanted: count, alive: count, ready: count, restarts: count }),
  /** Open connections on the slot's port, and those of them with a request in flight. Null where no socket is open. */
  connections: z.object({ open: count, inFlight: count }).nullable(),
  /** Who still routes requests to the slot's version, as text; null if nobody is known to. */
  routedBy: z.string().nullable().optional(),
  /** Drained by an operator; stays drained until `undrain`. */
  held: z.boolean(),
  order: z
    .object({
      id: z.string(),
      epoch: count,
      action: z.enum(["install", "uninstall"]),
      version: versionSchema,
      outcome: z.enum(orderOutcomes),
      error: wireErrorSchema.optional(),
    })
    .nullable(),
  /** The highest epoch seen. */
  epoch: count,
  progress: progressSchema.nullable(),
  lastError: wireErrorSchema.nullable(),
  /** The last refused order, so that its sender can read the reason. */
  refused: wireErrorSchema.nullable(),
  lastDrain: drainRecordSchema.nullable(),
  lastEnd: workerEndSchema.nullable(),
  /** Where the listening socket came from: bound anew, from a living worker, or from the service manager's store. */
  socket: z.enum(["none", "opened", "adopted", "stored"]),
});
export type SlotStatus = z.infer<typeof slotStatusSchema>;

export const hostStatusSchema = z.object({
  service: nameSchema,
  stage: nameSchema,
  host: hostSchema,
  agentVersion: z.string(),
  pid: count,
  bootId: z.string(),
  startedAt: timestampSchema,
  observedAt: timestampSchema,
  bus: z.object({
    connected: z.boolean(),
    server: z.string().nullable(),
    /** When the bus connection entered this state. */
    since: timestampSchema,
    error: z.string().nullable(),
  }),
  /** The cgroup v2 controllers that enforce limits; null where no cgroup was delegated. */
  controllers: z.array(z.string()).nullable(),
  load: z.object({ cores: count, load1: z.number(), memoryUsed: z.number(), stateDiskUsed: z.number() }).nullable(),
  slots: z.record(nameSchema, slotStatusSchema),
  /** For an operator, `what it is; what to do`: what works, but not as configured, and slots without ready workers. */
  warnings: z.array(z.string()),
  lastError: wireErrorSchema.nullable(),
});
export type HostStatus = z.infer<typeof hostStatusSchema>;

/**
 * A worker as `slotctl workers` shows it. CPU in percent of a core, memory in bytes: of all its processes, each page
 * once, and without the page cache.
 */
export const workerStatusSchema = z.object({
  slot: nameSchema,
  worker: count,
  version: versionSchema,
  pid: count,
  state: z.enum(["starting", "ready", "unready", "stopping", "waiting"]),
  uptimeMs: count,
  cpuPercent: z.number().nullable(),
  memoryBytes: count.nullable(),
  restarts: count,
  /** The text of its last `STATUS=` message, sd_notify(3); null if it sent none. */
  says: z.string().nullable(),
  /** Where its output goes: a file's path, or `journal:` and the identifier that its lines have there. */
  output: z.string(),
});
export type WorkerStatus = z.infer<typeof workerStatusSchema>;
