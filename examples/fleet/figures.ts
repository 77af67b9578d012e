import type { Routes } from "../../protocol/routes.ts";
import type { Stored } from "../../scripts/benchmarks/support/deploy/bus-record.ts";
import { wronglyAnswered } from "../../scripts/benchmarks/support/deploy/wrong-answers.ts";
import { BUCKET_MS, type PhaseReport, type UsersReport } from "../../test/support/users/users.ts";

/** What all users together have seen. */
export interface Figures {
  requests: number;
  failed: number;
  /** How often each failure was seen. */
  failures: Record<string, number>;
  reloads: number;
  /** The most reloads of one user in one deploy. */
  reloadsPerUserMax: number;
  /** Reloads that took a user back to a version that they had before in the same deploy. */
  flipFlops: number;
  /** Answers by another version than the requested one, while that one was served. */
  wrongVersion: number;
  /** Pages with an asset missing. */
  brokenPages: number;
  /** Answers of each version. */
  byVersion: Record<string, number>;
}

/** What happened within `BUCKET_MS` from `atMs`, by the system's clock. */
export interface Bucket {
  atMs: number;
  byVersion: Record<string, number>;
  failed: number;
}

/**
 * @param routes every change of the routes. Without any, nobody knows what was served, and every answer by another
 * version counts
 */
export function figuresOf(reports: readonly UsersReport[], routes: readonly Stored<Routes>[]): Figures {
  const phases = reports.flatMap((report) => Object.values(report.phases));
  const sum = (count: (phase: PhaseReport) => number) => phases.reduce((total, phase) => total + count(phase), 0);
  return {
    requests: sum(({ requests }) => requests),
    failed: sum(({ failed }) => failed),
    failures: added(phases.map(({ failures }) => failures)),
    reloads: sum(({ reloads }) => reloads),
    reloadsPerUserMax: Math.max(0, ...phases.map(({ mostReloadsOfAUser }) => mostReloadsOfAUser)),
    flipFlops: sum(({ flipFlops }) => flipFlops),
    wrongVersion: reports
      .flatMap((report) => wronglyAnswered(report, routes))
      .reduce((total, { count }) => total + count, 0),
    brokenPages: sum(({ brokenPages }) => brokenPages),
    byVersion: added(reports.flatMap(({ timeline }) => timeline.map(({ byVersion }) => byVersion))),
  };
}

/** What users saw of one deploy. */
export function phaseOf(reports: readonly UsersReport[], name: string): { reloads: number; reloadsPerUserMax: number } {
  const phases = reports.flatMap((report) => report.phases[name] ?? []);
  return {
    reloads: phases.reduce((total, { reloads }) => total + reloads, 0),
    reloadsPerUserMax: Math.max(0, ...phases.map(({ mostReloadsOfAUser }) => mostReloadsOfAUser)),
  };
}

/** The timelines of all groups as one, without a gap. */
export function bucketsOf(reports: readonly UsersReport[]): Bucket[] {
  const found = new Map<number, Bucket>();
  for (const { startedAt, timeline } of reports) {
    for (const { atMs: after, byVersion, failed } of timeline) {
      const atMs = floor(Date.parse(startedAt) + after);
      const bucket = found.get(atMs) ?? { atMs, byVersion: {}, failed: 0 };
      found.set(atMs, { atMs, byVersion: added([bucket.byVersion, byVersion]), failed: bucket.failed + failed });
    }
  }
  const times = [...found.keys()];
  if (times.length === 0) return [];
  const [first, last] = [Math.min(...times), Math.max(...times)];
  return Array.from({ length: (last - first) / BUCKET_MS + 1 }, (_, i) => {
    const atMs = first + i * BUCKET_MS;
    return found.get(atMs) ?? { atMs, byVersion: {}, failed: 0 };
  });
}

function floor(ms: number): number {
  return ms - (ms % BUCKET_MS);
}

function added(counts: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const each of counts) for (const [key, count] of Object.entries(each)) total[key] = (total[key] ?? 0) + count;
  return total;
}
