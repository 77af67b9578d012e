import type { RunningDeploy } from "../../../protocol/deploy.ts";

const SHA = "a".repeat(64);

/** A deploy of C under way: A is the previous version, B the default. */
export function running(over: Partial<RunningDeploy>): RunningDeploy {
  const release = { version: "C", url: "file:///c.tgz", sha256: SHA, sizeBytes: 1 };
  const plan = {
    wave: { percent: 10 },
    maxFailures: 0,
    pauseMs: 0,
    canaryStage: null,
    only: [],
    exclude: [],
    excludeAbsent: false,
    withoutEdges: [],
  };
  const startedAt = "2026-01-01T00:00:00.000Z";
  return {
    ...{ id: "deploy-1", version: "C", release, step: "installing", goal: "promote", rollback: null },
    from: { default: "B", serving: ["A", "B"], releases: {} },
    ...{ withdrawn: ["A"], plan, by: "t", message: "", startedAt, endedAt: null, halted: null, hosts: {} },
    ...over,
  };
}
