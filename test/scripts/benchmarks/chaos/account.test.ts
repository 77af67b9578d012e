import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  accountFor,
  countByCause,
  type Outage,
  type TimedFailure,
} from "../../../../scripts/benchmarks/support/chaos/account.ts";

const PROXY: Outage = { kind: "proxy", victim: "proxy", killedAt: 1_000, upAt: 1_500 };
const AGENT: Outage = { kind: "agent", victim: "h1", killedAt: 10_000, upAt: 40_000 };
const OTHER: Outage = { kind: "agent", victim: "h2", killedAt: 20_000, upAt: 21_000 };
const NATS: Outage = { kind: "nats", victim: "nats", killedAt: 39_000, upAt: 42_000 };

function failure(code: string, fromMs: number, toMs: number, openedMs: number | null = null): TimedFailure {
  return { what: `GET /: ${code}`, code, fromMs, toMs, openedMs };
}

describe("the account of failed requests", () => {
  const excuses: [what: string, failure: TimedFailure, excuse: "refusedByProxy" | "cutByProxy" | null][] = [
    ["refused while the proxy is away", failure("ECONNREFUSED", 1_200, 1_201), "refusedByProxy"],
    ["refused before", failure("ECONNREFUSED", 900, 950), null],
    ["refused after it is back", failure("ECONNREFUSED", 1_501, 1_502), null],
    ["cut with the proxy that held it", failure("ECONNRESET", 900, 1_001, 800), "cutByProxy"],
    ["cut later on a kept connection that it held", failure("ECONNRESET", 1_900, 1_901, 800), "cutByProxy"],
    ["cut in its queue as it was killed", failure("ECONNRESET", 1_000, 1_003, 1_001), "cutByProxy"],
    ["cut before the kill", failure("ECONNRESET", 900, 950, 800), null],
    ["cut on a connection of its successor", failure("ECONNRESET", 1_600, 1_610, 1_590), null],
    ["cut in its queue before it was open", failure("ECONNRESET", 1_100, 1_110), "cutByProxy"],
    ["cut before it was open, after it is back", failure("ECONNRESET", 1_600, 1_610), null],
    ["503 while it is away", failure("status 503", 1_200, 1_210, 1_190), null],
    ["503 over the time of the kill", failure("status 503", 900, 1_600, 800), null],
    ["without an answer in time", failure("no answer in 10000 ms", 900, 10_900, 800), null],
  ];
  for (const [what, failed, excuse] of excuses)
    it(`${excuse ? "excuses" : "counts"} one that was ${what}`, () => {
      const account = accountFor([failed], [PROXY]);
      const counts = [account.refusedByProxy, account.cutByProxy, account.failed].map(({ length }) => length);
      assert.deepEqual(counts, [excuse === "refusedByProxy", excuse === "cutByProxy", excuse === null].map(Number));
    });

  it("excuses nothing by another process's end, unless that is the proxy's", () => {
    const edge: Outage = { ...PROXY, kind: "edge", victim: "edge" };
    const refused = [failure("ECONNREFUSED", 1_200, 1_201)];
    assert.equal(accountFor(refused, [edge]).failed.length, 1);
    assert.equal(accountFor(refused, [edge], ["edge"]).failed.length, 0);
  });

  it("names what was away, and what had just come back, each kind once", () => {
    const failures = [
      failure("status 503", 5_000, 5_010),
      failure("status 503", 5_000, 5_020),
      failure("status 503", 20_500, 20_600),
      failure("status 503", 41_000, 41_010),
      failure("status 503", 60_000, 60_010),
    ];
    const { failed } = accountFor(failures, [PROXY, AGENT, OTHER, NATS]);
    assert.deepEqual(countByCause(failed), [
      ["GET /: status 503 × proxy just back", 2],
      ["GET /: status 503 × agent away", 1],
      ["GET /: status 503 × nats away, agent just back", 1],
      ["GET /: status 503 × no fault", 1],
    ]);
  });
});
