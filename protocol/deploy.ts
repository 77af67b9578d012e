import { z } from "zod";
import { epochSchema } from "./epoch.ts";
import { hostSchema, nameSchema, sha256Schema, timestampSchema, versionSchema } from "./names.ts";
import { releaseSchema } from "./release.ts";

const count = z.int().nonnegative();

/**
 * The steps of a deploy, in order. `withdrawing`: the version that makes room leaves the routes. `draining`: every edge
 * acknowledges that it stopped serving that version. `installing`: the new version replaces it, wave by wave.
 * `offering`: the new version joins the routes. `waiting`: every edge acknowledges that it can serve the new version.
 * `prepared`: ready for the switch. `promoting`: the default is switched, and every edge acknowledges. `restoring`: a
 * rollback reinstalls what the deploy replaced. The rest are end states.
 */
export const deploySteps = [
  "withdrawing",
  "draining",
  "installing",
  "offering",
  "waiting",
  "prepared",
  "promoting",
  "restoring",
  "done",
  "rolledBack",
  "aborted",
] as const;
export type DeployStep = (typeof deploySteps)[number];

/** A host's progress in a deploy. `excluded`: it gets the order, but the deploy doesn't wait for it. */
export const hostSteps = ["waiting", "ordered", "done", "failed", "excluded"] as const;
export type HostStep = (typeof hostSteps)[number];

/** What a deploy was asked to do. */
export const planSchema = z.strictObject({
  /** Hosts per wave: a percentage of the fleet, or a number. */
  wave: z.union([
    z.strictObject({ percent: z.number().positive().max(100) }),
    z.strictObject({ hosts: z.int().positive() }),
  ]),
  /** This many hosts may fail before the deploy halts. */
  maxFailures: count,
  pauseMs: count,
  /** The hosts of this stage form the first wave. */
  canaryStage: nameSchema.nullable(),
  /** Names or patterns with `*`. Empty: all. */
  only: z.array(z.string().min(1).max(253)),
  exclude: z.array(z.string().min(1).max(253)),
  /** Hosts that do not report get the order, but the deploy doesn't wait for them. */
  excludeAbsent: z.boolean(),
  /** Edges that barriers do not wait for. */
  withoutEdges: z.array(nameSchema),
});
export type DeployPlan = z.infer<typeof planSchema>;

const hostProgressSchema = z.strictObject({
  step: z.enum(hostSteps),
  slot: nameSchema,
  wave: count,
  /** The version that the slot held before and a rollback restores; null for an empty slot. */
  was: versionSchema.nullable(),
  /** Why it failed: an error's code and message. */
  error: z.strictObject({ code: z.string(), message: z.string().max(512) }).optional(),
});
export type HostProgress = z.infer<typeof hostProgressSchema>;

/** A deploy from start to end: everything another machine needs to resume it. */
export const runningDeploySchema = z.strictObject({
  id: z.string().min(1).max(128),
  version: versionSchema,
  release: releaseSchema,
  step: z.enum(deploySteps),
  /** How far it proceeds by itself: `prepare` stops at step `prepared`. */
  goal: z.enum(["prepare", "promote"]),
  /** What the routes and the slots held before; null in an empty fleet. */
  from: z.strictObject({
    default: versionSchema.nullable(),
    serving: z.array(versionSchema).max(16),
    /** The known releases of these versions, for a rollback to restore. */
    releases: z.record(versionSchema, releaseSchema),
  }),
  /** The versions that left the routes to make room. */
  withdrawn: z.array(versionSchema).max(16),
  /** Set during and after a rollback: `switch` moves the default back, `restore` reinstalls what was replaced. */
  rollback: z.enum(["switch", "restore"]).nullable(),
  plan: planSchema,
  by: z.string().min(1).max(256),
  message: z.string().max(1024),
  startedAt: timestampSchema,
  endedAt: timestampSchema.nullable(),
  /** Why it stopped; null while it is running. */
  halted: z.strictObject({ code: z.string(), message: z.string().max(4096), at: timestampSchema }).nullable(),
  /** By host. */
  hosts: z.record(hostSchema, hostProgressSchema),
});
export type RunningDeploy = z.infer<typeof runningDeploySchema>;

/** A version that was deployed, for people: by whom, when and why. */
export const revisionSchema = z.strictObject({
  version: versionSchema,
  sha256: sha256Schema,
  by: z.string().min(1).max(256),
  message: z.string().max(1024),
  at: timestampSchema,
});
export type Revision = z.infer<typeof revisionSchema>;

/** The state of a service's deploys: the epoch counter, and who is deploying what. Changed by compare-and-set only. */
export const deploySchema = z.strictObject({
  service: nameSchema,
  /** The last epoch that was handed out. */
  epoch: epochSchema,
  /**
   * Who may change the record. The holder keeps increasing `renewals`. Whoever sees it unchanged for `leaseMs`,
   * measured by its own clock, may take over with a new epoch.
   */
  lock: z
    .strictObject({
      holder: z.string().min(1).max(256),
      /** Distinguishes two runs by the same holder. */
      token: z.string().min(1).max(64),
      epoch: epochSchema,
      since: timestampSchema,
      leaseMs: z.int().positive(),
      renewals: count,
    })
    .nullable(),
  /** The deploy under way, or the last one. */
  deploy: runningDeploySchema.nullable(),
  /** Newest first. */
  revisions: z.array(revisionSchema).max(32),
});
export type Deploy = z.infer<typeof deploySchema>;
