import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { countConnections, isInFlight } from "../../../agent/drain/in-flight.ts";
import type { TcpConnection } from "../../../agent/os/tcp-connections.ts";

const QUIET_MS = 1_000;

/** Answered long ago, and everything was acknowledged. */
const idle: TcpConnection = {
  peer: "",
  cookie: 1n,
  lastSentMs: 5_000,
  lastReceivedMs: 5_040,
  bytesAcked: 300n,
  bytesReceived: 100n,
  unreadBytes: 0,
  unackedBytes: 0,
};

const count = fc.bigInt({ min: 0n, max: 2n ** 40n });
const connection: fc.Arbitrary<TcpConnection> = fc.record({
  peer: fc.string(),
  cookie: count,
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
    ["a first request without an answer", { bytesAcked: 0n, lastSentMs: 60_000, lastReceivedMs: 60_000 }, true],
    ["a connection on which nothing ever was said", { bytesAcked: 0n, bytesReceived: 0n }, false],
    ["an answer that has just been sent", { lastSentMs: QUIET_MS - 1 }, true],
    ["an answer of quiet_ms ago", { lastSentMs: QUIET_MS, lastReceivedMs: QUIET_MS }, false],
    ["an answer within the same tick as the request", { lastSentMs: 5_000, lastReceivedMs: 5_000 }, false],
  ];
  for (const [what, seen, expected] of cases) {
    it(`is ${expected ? "so" : "not so"} for ${what}`, () => {
      assert.equal(isInFlight({ ...idle, ...seen }, QUIET_MS), expected);
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
        const settled = { ...seen, unreadBytes: 0, unackedBytes: 0, bytesAcked: 1n, lastSentMs: seen.lastSentMs };
        const later = { ...settled, lastSentMs: quietMs, lastReceivedMs: quietMs + seen.lastReceivedMs };
        assert.equal(isInFlight(later, quietMs), false);
      }),
    );
  });

  it("counts every connection once, as idle or as in flight", () => {
    fc.assert(
      fc.property(fc.array(connection), fc.nat(10_000), (all, quietMs) => {
        const { open, inFlight } = countConnections(all, quietMs);
        assert.equal(open, all.length);
        assert.equal(inFlight, all.filter((one) => isInFlight(one, quietMs)).length);
      }),
    );
  });
});
