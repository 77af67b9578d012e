import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LEASE_TICK_MS, LeaseClock } from "../../../edge/members/lease-clock.ts";
import { KnownMembers } from "../../../edge/members/members.ts";
import { memberLeaseMs, toMember } from "../../../protocol/member.ts";

const text = JSON.stringify(
  toMember({
    ...{ service: "web", stage: "prod", host: "h1", slot: "a", version: "A", sha256: "a".repeat(64), epoch: 1 },
    ...{ address: { host: "127.0.5.1", port: 9_100 }, capacity: 1, workers: 1, status: "ALIVE" },
  }),
);

/** One member, whose lease began at `start`, and which is never written again. */
function silentMember() {
  // Whole, so that sums are exact.
  const start = Math.ceil(performance.now());
  const members = new KnownMembers("web");
  const leases = new LeaseClock(members);
  leases.setWatched(true, start);
  members.recordWrite("web.prod.h1.a", 1, text, start);
  /** Ticks in time, for some ms. @returns after how many ms a lease lapsed; null: none did */
  const run = (fromMs: number, toMs: number, ownWriteAt: (now: number) => number = (now) => now) => {
    for (let ms = fromMs; ms <= toMs; ms += LEASE_TICK_MS)
      if (leases.tick(start + ms, ownWriteAt(start + ms))) return ms;
    return null;
  };
  return { start, leases, run };
}

const FIRST_TICK_AFTER = memberLeaseMs + LEASE_TICK_MS;

describe("the clock of members' leases", () => {
  it("ends a lease while the serverset is watched and the bus accepts writes", () => {
    assert.equal(silentMember().run(0, 60_000), FIRST_TICK_AFTER);
  });

  it("counts another member's write as a sign that the bus accepts writes", () => {
    const { start, leases, run } = silentMember();
    let lapsedAt: number | null = null;
    for (let ms = 0; ms <= 60_000 && lapsedAt === null; ms += LEASE_TICK_MS) {
      leases.onMemberWritten(start + ms);
      lapsedAt = run(ms, ms, () => Number.NEGATIVE_INFINITY);
    }
    assert.equal(lapsedAt, FIRST_TICK_AFTER);
  });

  it("stands still while the bus accepts no writes, and starts every lease afresh afterwards", () => {
    const { start, run } = silentMember();
    assert.equal(
      run(0, 60_000, () => start),
      null,
    );
    const lapsedAt = run(60_500, 120_000);
    assert.ok(lapsedAt !== null && lapsedAt >= 60_000 + memberLeaseMs, String(lapsedAt));
  });

  it("stands still while the serverset can't be watched, and starts every lease afresh afterwards", () => {
    const { start, leases, run } = silentMember();
    leases.setWatched(false, start);
    assert.equal(run(0, 60_000), null);
    leases.setWatched(true, start + 60_000);
    assert.equal(run(60_500, 120_000), 60_000 + FIRST_TICK_AFTER);
  });

  it("starts every lease afresh after the process was suspended", () => {
    const { run } = silentMember();
    assert.equal(run(0, 1_000), null);
    assert.equal(run(61_000, 120_000), 61_000 + FIRST_TICK_AFTER);
  });
});
