import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EdgeLeases, type Found } from "../../../agent/bus/edge-leases.ts";
import { edgeStatus } from "../support/edge-status.ts";

const LEASE_MS = 1_000;
const of = (edge: string) => edgeStatus(edge, { leaseMs: LEASE_MS });
const found = (...texts: [edge: string, text: string][]) =>
  new Map(texts.map(([edge, text]): [string, Found] => [edge, { text, status: of(edge) }]));
const live = (leases: EdgeLeases) => leases.live().map(({ edge }) => edge);

describe("the leases of edges", () => {
  it("are not known before the bucket was read", () => {
    const leases = new EdgeLeases();
    assert.equal(leases.known, false);
    leases.hear("x", of("e1"), 0);
    assert.equal(leases.known, false);
    leases.take(found(), 1, 2);
    assert.equal(leases.known, true);
  });

  it("begin when a status was read for the first time, however old it is", () => {
    const leases = new EdgeLeases();
    leases.take(found(["e1", "old"]), 100, 110);
    assert.deepEqual(live(leases), ["e1"]);
    assert.equal(leases.isOverdue(1_109), false);
    assert.equal(leases.isOverdue(1_110), true);
  });

  it("lapse only by a read that began after their end and found nothing new", () => {
    const leases = new EdgeLeases();
    leases.take(found(["e1", "x"]), 0, 0);
    assert.deepEqual(live(leases), ["e1"], "silence alone is not the edge's");
    leases.take(found(["e1", "x"]), 999, 1_500);
    assert.deepEqual(live(leases), ["e1"], "the read began before the end");
    leases.take(found(["e1", "x"]), 1_600, 1_610);
    assert.deepEqual(live(leases), []);
    assert.equal(leases.isOverdue(9_999), false, "there is nothing left to look after");
    leases.take(found(["e1", "x"]), 60_000, 60_010);
    assert.deepEqual(live(leases), [], "what is still there is not heard again");
    leases.hear("y", of("e1"), 60_100);
    assert.deepEqual(live(leases), ["e1"], "it is back");
  });

  it("begin anew with a read that finds another status, and with each that is heard", () => {
    const leases = new EdgeLeases();
    leases.take(found(["e1", "x"], ["e2", "x"]), 0, 0);
    leases.hear("y", of("e2"), 900);
    leases.take(found(["e1", "z"], ["e2", "y"]), 1_100, 1_110);
    assert.deepEqual(live(leases), ["e1", "e2"]);
    assert.equal(leases.isOverdue(1_905), true, "e2 was last heard at 900");
    leases.take(found(["e1", "z"], ["e2", "y"]), 1_905, 1_910);
    assert.deepEqual(live(leases), ["e1"]);
  });

  it("are not shortened by a read that began before an edge was heard", () => {
    const leases = new EdgeLeases();
    leases.take(found(["e1", "x"]), 0, 0);
    leases.hear("new", edgeStatus("e1", { leaseMs: LEASE_MS, appliedServersets: 9 }), 510);
    leases.take(found(["e1", "x"]), 500, 520);
    assert.equal(leases.live()[0]?.appliedServersets, 9);
    leases.take(found(), 505, 530);
    assert.deepEqual(live(leases), ["e1"], "its first status was stored since");
  });

  it("are not set back by a replica that answers with the status before the last", () => {
    const leases = new EdgeLeases();
    const at = (seconds: number) => `2026-01-01T00:00:0${seconds}.000Z`;
    const status = (seconds: number) => edgeStatus("e1", { appliedServersets: seconds, at: at(seconds) });
    leases.take(new Map(), 0, 0);
    leases.hear("second", status(2), 10);
    leases.take(new Map([["e1", { text: "first", status: status(1) }]]), 20, 30);
    assert.equal(leases.live()[0]?.appliedServersets, 2);
    leases.take(new Map([["e1", { text: "third", status: status(3) }]]), 40, 50);
    assert.equal(leases.live()[0]?.appliedServersets, 3);
  });

  it("end at once for an edge that is not in the bucket any more, and for one that took its status away", () => {
    const leases = new EdgeLeases();
    leases.take(found(["e1", "x"], ["e2", "x"]), 0, 0);
    leases.forget("e2");
    assert.deepEqual(live(leases), ["e1"]);
    leases.take(found(), 10, 20);
    assert.deepEqual(live(leases), []);
  });

  it("are whole again after the bus was away, but for those that had lapsed", () => {
    const leases = new EdgeLeases();
    leases.take(found(["e1", "x"], ["e2", "x"]), 0, 0);
    leases.hear("y", of("e1"), 900);
    leases.take(found(["e1", "y"], ["e2", "x"]), 1_100, 1_110);
    leases.renew(50_000);
    leases.take(found(["e1", "y"], ["e2", "x"]), 50_001, 50_002);
    assert.deepEqual(live(leases), ["e1"]);
  });

  it("stand by the last good status where the bucket holds a malformed one", () => {
    const leases = new EdgeLeases();
    leases.take(found(["e1", "x"]), 0, 0);
    leases.take(new Map([["e1", { text: "{", status: null }]]), 500, 510);
    assert.deepEqual(live(leases), ["e1"]);
    leases.take(new Map([["e1", { text: "{", status: null }]]), 1_500, 1_510);
    assert.deepEqual(live(leases), [], "it has not renewed its lease");
  });
});
