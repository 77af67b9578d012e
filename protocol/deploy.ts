import { z } from "zod";
import { hostSchema, nameSchema, sha256Schema, timestampSchema, versionSchema } from "./names.ts";
import { releaseSchema } from "./release.ts";

const count = z.int().nonnegative();

/**
 * The steps of a deploy, in their order. `withdrawing`: the version that makes room leaves the routes. `draining`: every edge has to say
 * that it stopped serving it. `installing`: host after host gets the new version in its place. `offering`: the new version joins the
 * routes. `waiting`: every edge has to say that it can serve it. `prepared`: all is ready for the switch. `promoting`: the default
 * is switched, and every edge has to say so. `restoring`: a rollback brings back what the deploy replaced. The others are ends.
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

/** Where a host is in a deploy. `excluded`: ordered for, and not waited for. */
export const hostSteps = ["waiting", "ordered", "done", "failed", "excluded"] as const;
export type HostStep = (typeof hostSteps)[number];

/** What a deploy was asked to do. */
export const planSchema = z.strictObject({
  /** Hosts at once: a share of the fleet, in percent, or a number. */
  wave: z.union([
    z.strictObject({ percent: z.number().positive().max(100) }),
    z.strictObject({ hosts: z.int().positive() }),
  ]),
  /** This many hosts may fail before the deploy halts. */
  maxFailures: count,
  pauseMs: count,
  /** The hosts of this stage are a wave of their own, before all others. */
  canaryStage: nameSchema.nullable(),
  /** Names or patterns with `*`. Empty: all. */
  only: z.array(z.string().min(1).max(253)),
  exclude: z.array(z.string().min(1).max(253)),
  /** Hosts that do not report are ordered for, and not waited for. */
  excludeAbsent: z.boolean(),
  /** Edges that are not waited for. */
  withoutEdges: z.array(nameSchema),
});
export type DeployPlan = z.infer<typeof planSchema>;

const hostProgressSchema = z.strictObject({
  step: z.enum(hostSteps),
  slot: nameSchema,
  wave: count,
  /** What the slot held before, which a rollback brings back; null: nothing. */
  was: versionSchema.nullable(),
  /** Why it failed: an error's code and message. */
  error: z.strictObject({ code: z.string(), message: z.string().max(512) }).optional(),
});
export type HostProgress = z.infer<typeof hostProgressSchema>;

/** A deploy, from its beginning to its end: everything that is needed to go on with it on another machine. */
export const runningDeploySchema = z.strictObject({
  id: z.string().min(1).max(128),
  version: versionSchema,
  release: releaseSchema,
  step: z.enum(deploySteps),
  /** How far it goes by itself: `prepare` ends in step `prepared`. */
  goal: z.enum(["prepare", "promote"]),
  /** What the routes and the slots held before; null in an empty fleet. */
  from: z.strictObject({
    default: versionSchema.nullable(),
    serving: z.array(versionSchema).max(16),
    /** The releases of these versions, as far as they are known, so that a rollback can bring them back. */
    releases: z.record(versionSchema, releaseSchema),
  }),
  /** The versions that left the routes to make room. */
  withdrawn: z.array(versionSchema).max(16),
  /** Set while it is rolled back, and after: by switching the default back, or by bringing back what was replaced. */
  rollback: z.enum(["switch", "restore"]).nullable(),
  plan: planSchema,
  by: z.string().min(1).max(256),
  message: z.string().max(1024),
  startedAt: timestampSchema,
  endedAt: timestampSchema.nullable(),
  /** Why it does not go on by itself; null while it does. */
  halted: z.strictObject({ code: z.string(), message: z.string().max(4096), at: timestampSchema }).nullable(),
  /** By host. */
  hosts: z.record(hostSchema, hostProgressSchema),
});
export type RunningDeploy = z.infer<typeof runningDeploySchema>;

/** A version that was deployed once, for people: who, when, why. */
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
  epoch: count,
  /**
   * Who may change the rest. `renewals` grows while the holder lives: whoever sees it stand still for `leaseMs`, by a clock of its
   * own, may take over, with a new epoch.
   */
  lock: z
    .strictObject({
      holder: z.string().min(1).max(256),
      /** Tells two runs of one holder apart. */
      token: z.string().min(1).max(64),
      epoch: count,
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
