import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isInFlight, Tally } from "../../../agent/drain/in-flight.ts";
import type { TcpConnection } from "../../../agent/os/tcp-connections.ts";
import { idleConnection } from "../../support/tcp-connections.ts";

const QUIET_MS = 1_000;

const count = fc.nat(2 ** 40);
const connection: fc.Arbitrary<TcpConnection> = fc.record({
  peer: fc.string(),
  peerPort: fc.nat(65_535),
  cookie: fc.bigInt({ min: 0n, max: 2n ** 40n }),
  queued: fc.boolean(),
  lastSentMs: fc.nat(100_000),
  lastReceivedMs: fc.nat(100_000),
  bytesAcked: count,
  bytesReceived: count,
  unreadBytes: fc.nat(10),
  unackedBytes: fc.nat(10),
});

describe("whether a connection has a request in flight", () => {
  const cases: [what: string, seen: Partial<TcpConnection>, expected: boolean][] = [
    ["an answered request", {}, false],
    ["bytes that the app has not read", { unreadBytes: 1 }, true],
    ["bytes that the other side has not acknowledged", { unackedBytes: 1 }, true],
    ["a request that came after the last answer", { lastSentMs: 5_000, lastReceivedMs: 4_000 }, true],
    ["a first request without an answer", { bytesAcked: 0, lastSentMs: 60_000, lastReceivedMs: 60_000 }, true],
    ["a connection on which nothing ever was said", { bytesAcked: 0, bytesReceived: 0 }, false],
    ["an answer that has just been sent", { lastSentMs: QUIET_MS - 1 }, true],
    ["an answer of quiet_ms ago", { lastSentMs: QUIET_MS, lastReceivedMs: QUIET_MS }, false],
    ["an answer within the same tick as the request", { lastSentMs: 5_000, lastReceivedMs: 5_000 }, false],
  ];
  for (const [what, seen, expected] of cases) {
    it(`is ${expected ? "so" : "not so"} for ${what}`, () => {
      assert.equal(isInFlight({ ...idleConnection, ...seen }, QUIET_MS), expected);
    });
  }

  it("is always so while bytes are under way, and where the other side had the last word", () => {
    fc.assert(
      fc.property(connection, fc.nat(10_000), (seen, quietMs) => {
        const underWay = seen.unreadBytes > 0 || seen.unackedBytes > 0;
        if (underWay || seen.lastReceivedMs < seen.lastSentMs) assert(isInFlight(seen, quietMs));
      }),
    );
  });

  it("is so for no fewer connections the longer they have to be quiet", () => {
    fc.assert(
      fc.property(connection, fc.nat(10_000), fc.nat(10_000), (seen, quietMs, more) => {
        if (isInFlight(seen, quietMs)) assert(isInFlight(seen, quietMs + more));
      }),
    );
  });

  it("ends with time where nothing moves and the app had the last word", () => {
    fc.assert(
      fc.property(connection, fc.nat(10_000), (seen, quietMs) => {
        const settled = { ...seen, unreadBytes: 0, unackedBytes: 0, bytesAcked: 1, lastSentMs: seen.lastSentMs };
        const later = { ...settled, lastSentMs: quietMs, lastReceivedMs: quietMs + seen.lastReceivedMs };
        assert.equal(isInFlight(later, quietMs), false);
      }),
    );
  });

  it("counts every connection once, as idle or as busy, and of the busy ones those that nobody has accepted", () => {
    fc.assert(
      fc.property(fc.array(connection), fc.nat(10_000), (all, quietMs) => {
        const tally = new Tally(quietMs);
        for (const one of all) tally.add(one);
        const busy = all.filter((one) => isInFlight(one, quietMs));
        const queued = busy.filter((one) => one.queued);
        const accepted = all.filter((one) => !one.queued);
        const counts = [tally.open, tally.accepted, tally.inFlight, tally.busy, tally.queued];
        const owed = all.filter((one) => isInFlight(one, 0));
        assert.deepEqual(counts, [all.length, accepted.length, owed.length, busy.length, queued.length]);
        assert.equal(tally.queuedMs, Math.max(0, ...queued.map(({ lastReceivedMs }) => lastReceivedMs)));
      }),
    );
  });
});
