import { percentile, round } from "../../../scripts/benchmarks/support/statistics.ts";
import type { Connection } from "./send.ts";

export const BUCKET_MS = 250;
const MAX_RELOADS = 20_000;
const MAX_FAILURE_KINDS = 50;
const MAX_SEEN = 20_000;

/** What became of a request. */
export interface Outcome {
  /** The version that it named, and the one that answered; null where none was. */
  asked: string | null;
  answered: string | null;
  /** Why it failed, if it did. */
  failure: { what: string; code: string } | null;
  method: "GET" | "POST";
  connection: Connection;
  /** By the clock of `performance.now`. */
  fromMs: number;
  toMs: number;
}

/** One request that failed. Times are of the system's clock. */
export interface SeenFailure {
  /** Method, what was asked for, and the kind of error. */
  what: string;
  /** `ECONNRESET`, `status 503`. */
  code: string;
  fromMs: number;
  toMs: number;
  /** When its connection was opened; null where it never was. */
  openedMs: number | null;
}

/** One answer from another version than the request had named. Times are of the system's clock. */
export interface SeenAnswer {
  asked: string;
  answered: string;
  fromMs: number;
  toMs: number;
}

/** A user's page was loaded anew, since an answer came from another version. Times are ms after the start. */
export interface Reload {
  user: number;
  atMs: number;
  from: string;
  to: string;
}

export interface PhaseReport {
  requests: number;
  /** Broken connections, and answers of 500 and more; of calls, of 400 and more. */
  failed: number;
  /** How often each failure was seen. */
  failures: Record<string, number>;
  /** By method and connection: `GET new`, `GET kept`, `POST new`, `POST kept`. */
  by: Record<string, { requests: number; failed: number }>;
  /** Answers of another version than the request had named. */
  wrongVersion: number;
  /** Pages of which an asset was not to be had. */
  brokenPages: number;
  reloads: number;
  reloadedUsers: number;
  mostReloadsOfAUser: number;
  /** Reloads that brought a version back which the user had before in this phase. */
  flipFlops: number;
  /** Reloads that brought the same version again. */
  futileReloads: number;
  /** Answers of another version that the client did not follow. */
  notices: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface WrongAnswers {
  asked: string;
  answered: string;
  count: number;
  firstAtMs: number;
  lastAtMs: number;
}

export interface UsersReport {
  /** Of the system's clock. */
  startedAt: string;
  durationMs: number;
  marks: { name: string; atMs: number }[];
  /** By the names of the marks; what was begun before the first of them is `start`. */
  phases: Record<string, PhaseReport>;
  /** Answers of each version (`-` where none is named) and failures, in steps of `BUCKET_MS`. */
  timeline: { atMs: number; byVersion: Record<string, number>; failed: number }[];
  /** The first 20,000. */
  reloads: Reload[];
  wrong: WrongAnswers[];
  /** One by one, the first 20,000 of each. */
  seen: { failures: SeenFailure[]; wrong: SeenAnswer[] };
}

/** What is counted of the requests that begin between two marks. */
export class Phase {
  private requests = 0;
  private failed = 0;
  private wrongVersion = 0;
  private flipFlops = 0;
  private futileReloads = 0;
  private readonly failures = new Map<string, number>();
  private readonly by: PhaseReport["by"] = {};
  private readonly latencies: number[] = [];
  private readonly reloads = new Map<number, number>();
  private readonly seen = new Map<number, Set<string>>();
  brokenPages = 0;
  notices = 0;

  add({ asked, answered, failure, method, connection, fromMs, toMs }: Outcome): void {
    const way = `${method} ${connection.kept ? "kept" : "new"}`;
    this.by[way] ??= { requests: 0, failed: 0 };
    this.requests++;
    this.by[way].requests++;
    if (failure !== null) {
      this.failed++;
      this.by[way].failed++;
      const isKnown = this.failures.size < MAX_FAILURE_KINDS || this.failures.has(failure.what);
      const kind = isKnown ? failure.what : "others";
      this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1);
      return;
    }
    this.latencies.push(toMs - fromMs);
    if (isWrong(asked, answered)) this.wrongVersion++;
  }

  reloaded({ user, from, to }: Reload): void {
    this.reloads.set(user, (this.reloads.get(user) ?? 0) + 1);
    const seen = this.seen.get(user) ?? new Set();
    seen.add(from);
    if (from === to) this.futileReloads++;
    else if (seen.has(to)) this.flipFlops++;
    this.seen.set(user, seen.add(to));
  }

  report(): PhaseReport {
    const { requests, failed, wrongVersion, brokenPages, flipFlops, futileReloads, notices, latencies } = this;
    const counts = [...this.reloads.values()];
    const at = (share: number) => (latencies.length === 0 ? 0 : round(percentile(latencies, share), 2));
    return {
      requests,
      failed,
      failures: Object.fromEntries(this.failures),
      by: this.by,
      wrongVersion,
      brokenPages,
      reloads: counts.reduce((sum, count) => sum + count, 0),
      reloadedUsers: counts.length,
      mostReloadsOfAUser: Math.max(0, ...counts),
      flipFlops,
      futileReloads,
      notices,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
  }
}

/** All that users saw, by phase and over time. */
export class Tally {
  phase = new Phase();
  private readonly began = performance.now();
  private readonly startedAt = new Date().toISOString();
  private readonly phases = new Map([["start", this.phase]]);
  private readonly marks: UsersReport["marks"] = [];
  private readonly buckets = new Map<number, UsersReport["timeline"][number]>();
  private readonly wrong = new Map<string, WrongAnswers>();
  private readonly reloads: Reload[] = [];
  private readonly seen: UsersReport["seen"] = { failures: [], wrong: [] };

  mark(name: string): void {
    this.marks.push({ name, atMs: this.now() });
    this.phase = this.phases.get(name) ?? new Phase();
    this.phases.set(name, this.phase);
  }

  /** @param phase the one that the request began in */
  add(outcome: Outcome, phase: Phase): void {
    phase.add(outcome);
    const { asked, answered, failure } = outcome;
    if (failure !== null) this.see(outcome, failure);
    const atMs = this.now();
    const bucket = this.bucketAt(atMs);
    if (failure !== null) bucket.failed++;
    else bucket.byVersion[answered ?? "-"] = (bucket.byVersion[answered ?? "-"] ?? 0) + 1;
    if (failure !== null || asked === null || answered === null || !isWrong(asked, answered)) return;
    const { fromMs, toMs } = clockTimes(outcome);
    if (this.seen.wrong.length < MAX_SEEN) this.seen.wrong.push({ asked, answered, fromMs, toMs });
    const key = `${asked} ${answered}`;
    const wrong = this.wrong.get(key) ?? { asked, answered, count: 0, firstAtMs: atMs, lastAtMs: atMs };
    this.wrong.set(key, { ...wrong, count: wrong.count + 1, lastAtMs: atMs });
  }

  reloaded(user: number, from: string, to: string): void {
    const reload = { user, atMs: this.now(), from, to };
    this.phase.reloaded(reload);
    if (this.reloads.length < MAX_RELOADS) this.reloads.push(reload);
  }

  report(): UsersReport {
    return {
      startedAt: this.startedAt,
      durationMs: this.now(),
      marks: this.marks,
      phases: Object.fromEntries([...this.phases].map(([name, phase]) => [name, phase.report()])),
      timeline: [...this.buckets.values()],
      reloads: this.reloads,
      wrong: [...this.wrong.values()],
      seen: this.seen,
    };
  }

  private see(outcome: Outcome, { what, code }: NonNullable<Outcome["failure"]>): void {
    if (this.seen.failures.length < MAX_SEEN) this.seen.failures.push({ what, code, ...clockTimes(outcome) });
  }

  private now(): number {
    return Math.round(performance.now() - this.began);
  }

  private bucketAt(ms: number): UsersReport["timeline"][number] {
    const atMs = ms - (ms % BUCKET_MS);
    const bucket = this.buckets.get(atMs) ?? { atMs, byVersion: {}, failed: 0 };
    this.buckets.set(atMs, bucket);
    return bucket;
  }
}

function clockTimes({ fromMs, toMs, connection: { openedMs } }: Outcome) {
  const at = (ms: number) => Math.round(performance.timeOrigin + ms);
  return { fromMs: at(fromMs), toMs: at(toMs), openedMs: openedMs === null ? null : at(openedMs) };
}

function isWrong(asked: string | null, answered: string | null): boolean {
  return asked !== null && answered !== null && asked !== answered;
}
