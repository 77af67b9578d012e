import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pc from "picocolors";
import { drawTimeline } from "../../examples/fleet/draw-timeline.ts";
import { type Bucket, bucketsOf, figuresOf, phaseOf } from "../../examples/fleet/figures.ts";
import { inWords } from "../../examples/fleet/routes-log.ts";
import type { Routes } from "../../protocol/routes.ts";
import { BUCKET_MS, type PhaseReport, type UsersReport } from "../support/users/users.ts";

const plain = pc.createColors(false);
const T0 = 1_700_000_000_000;

function bucket(i: number, byVersion: Record<string, number>, failed = 0): Bucket {
  return { atMs: T0 + i * BUCKET_MS, byVersion, failed };
}

function phase(change: Partial<PhaseReport>): PhaseReport {
  const counts = {
    requests: 0,
    failed: 0,
    failures: {},
    by: {},
    wrongVersion: 0,
    brokenPages: 0,
    reloads: 0,
    reloadedUsers: 0,
  };
  const rest = { mostReloadsOfAUser: 0, flipFlops: 0, futileReloads: 0, notices: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 };
  return { ...counts, ...rest, ...change };
}

function report(change: Partial<UsersReport>): UsersReport {
  const startedAt = new Date(T0).toISOString();
  const seen = { failures: [], wrong: [] };
  return { startedAt, durationMs: 0, marks: [], phases: {}, timeline: [], reloads: [], wrong: [], seen, ...change };
}

function routes(atMs: number, first: string, ...others: string[]) {
  const value: Routes = { epoch: 1, revision: 1, mode: "atomic", default: first, serving: [first, ...others] };
  return { atMs, revision: 1, value };
}

describe("the timeline of the fleet's demo", () => {
  it("has a row for each version, the highest column full, and a letter at each mark", () => {
    const buckets = [
      bucket(0, { "1.0": 80 }),
      bucket(1, { "1.0": 40, "10.0": 1 }),
      bucket(2, { "10.0": 80, "2.0": 0 }, 1),
    ];
    const marks = [
      { atMs: T0 - 1, text: "too early" },
      { atMs: T0 + 300, text: "10.0 joins" },
    ];
    assert.deepEqual(drawTimeline(buckets, marks, 80, plain), [
      "requests per second by the version that answered; a column is 0.25 s, the highest 320/s",
      "1.0     █▄",
      "2.0",
      "10.0     ▁█",
      "failed  ··!",
      "         a",
      "        a   0.3 s  10.0 joins",
    ]);
  });

  it("is never wider than it may be, and says what a column is", () => {
    const buckets = Array.from({ length: 101 }, (_, i) => bucket(i, { "1.0": 10 }));
    const [title = "", row = ""] = drawTimeline(buckets, [], 40, plain);
    assert.match(title, /a column is 0\.75 s, the highest 40\/s/);
    assert.equal(row, `1.0     ${"█".repeat(34)}`);
  });

  it("puts marks that fall on the same column under each other", () => {
    const buckets = [bucket(0, { "1.0": 1 }), bucket(1, { "1.0": 1 }), bucket(2, { "1.0": 1 })];
    const marks = [0, 10, BUCKET_MS, 9 * BUCKET_MS].map((ms) => ({ atMs: T0 + ms, text: "x" }));
    const lines = drawTimeline(buckets, marks, 80, plain);
    assert.deepEqual(lines.slice(3, 5), ["        acd", "        b"]);
  });

  it("has no escape sequences without colours, and has them with", () => {
    const buckets = [bucket(0, { "1.0": 1 }, 1)];
    assert(!drawTimeline(buckets, [], 80, plain).join("").includes("\x1b"));
    assert(drawTimeline(buckets, [], 80, pc.createColors(true)).join("").includes("\x1b"));
  });

  it("says so where nothing was asked", () => {
    assert.deepEqual(drawTimeline([], [], 80, plain), ["no requests"]);
  });

  it("names what left, what came, and what the default is, for each change of the routes", () => {
    const changes = [
      routes(1, "1.0"),
      routes(2, "1.0", "2.0"),
      routes(3, "2.0", "1.0"),
      routes(4, "2.0", "1.0"),
      routes(5, "2.0"),
      routes(6, "3.0"),
    ];
    assert.deepEqual(inWords(changes), [
      { atMs: 1, text: "1.0 becomes the default" },
      { atMs: 2, text: "2.0 joins the routes" },
      { atMs: 3, text: "2.0 becomes the default" },
      { atMs: 5, text: "1.0 leaves the routes" },
      { atMs: 6, text: "2.0 leaves the routes, 3.0 joins the routes, 3.0 becomes the default" },
    ]);
  });
});

describe("the figures of the fleet's demo", () => {
  it("add up what groups of users have seen, at the times when it was", () => {
    const first = report({
      timeline: [{ atMs: 0, byVersion: { "1.0": 3 }, failed: 0 }],
      phases: { start: phase({ requests: 3, reloads: 2, mostReloadsOfAUser: 1 }) },
    });
    const later = report({
      startedAt: new Date(T0 + 2 * BUCKET_MS).toISOString(),
      timeline: [{ atMs: 0, byVersion: { "1.0": 1, "2.0": 4 }, failed: 2 }],
      phases: {
        start: phase({ requests: 5, failed: 2, failures: { "GET /: reset": 2 } }),
        deploy: phase({ requests: 2, reloads: 3, mostReloadsOfAUser: 2, flipFlops: 1, brokenPages: 1 }),
      },
    });
    assert.deepEqual(figuresOf([first, later], []), {
      requests: 10,
      failed: 2,
      failures: { "GET /: reset": 2 },
      reloads: 5,
      reloadsPerUserMax: 2,
      flipFlops: 1,
      wrongVersion: 0,
      brokenPages: 1,
      byVersion: { "1.0": 4, "2.0": 4 },
    });
    assert.deepEqual(phaseOf([first, later], "deploy"), { reloads: 3, reloadsPerUserMax: 2 });
    assert.deepEqual(bucketsOf([first, later]), [
      { atMs: T0, byVersion: { "1.0": 3 }, failed: 0 },
      { atMs: T0 + BUCKET_MS, byVersion: {}, failed: 0 },
      { atMs: T0 + 2 * BUCKET_MS, byVersion: { "1.0": 1, "2.0": 4 }, failed: 2 },
    ]);
  });

  it("count an answer of another version only while the one that was asked for was served", () => {
    const changes = [routes(T0, "2.0", "1.0"), routes(T0 + 1_000, "2.0")];
    const wrong = (firstAtMs: number) => [{ asked: "1.0", answered: "2.0", count: 7, firstAtMs, lastAtMs: 5_000 }];
    assert.equal(figuresOf([report({ wrong: wrong(1_000) })], changes).wrongVersion, 0);
    assert.equal(figuresOf([report({ wrong: wrong(999) })], changes).wrongVersion, 7);
    assert.equal(figuresOf([report({ wrong: wrong(1_000) })], []).wrongVersion, 7);
  });
});
