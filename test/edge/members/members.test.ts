import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KnownMembers } from "../../../edge/members/members.ts";
import { memberLeaseMs, toMember } from "../../../protocol/member.ts";

const key = (host: string) => `web.prod.${host}.a`;

function text(host: string, status: "ALIVE" | "STOPPING" = "ALIVE", version = "A"): string {
  const who = { service: "web", stage: "prod", host, slot: "a", version, sha256: "a".repeat(64), epoch: 1 };
  return JSON.stringify(
    toMember({ ...who, address: { host: "127.0.3.1", port: 8000 }, capacity: 1, workers: 1, status }),
  );
}

/** Members with these hosts alive. */
function alive(...hosts: string[]): KnownMembers {
  const members = new KnownMembers("web");
  members.beginListing(false);
  for (const [i, host] of hosts.entries()) members.recordWrite(key(host), i + 1, text(host), 0);
  members.endListing(0);
  return members;
}

const routed = (members: KnownMembers, maxLoss = 0.5) => {
  const { members: list, heldBack } = members.judgeLosses(() => true, maxLoss);
  return [list.map(({ id }) => id.split(".")[1]), heldBack.length] as const;
};

describe("members and their leases", () => {
  it("are used for one lease after their last write", () => {
    const members = alive("h1", "h2", "h3");
    for (const host of ["h2", "h3"])
      assert.equal(members.recordWrite(key(host), members.revision + 1, text(host), 9_000), "repeated");
    assert.equal(members.lapse(memberLeaseMs), false);
    assert.equal(members.lapse(memberLeaseMs + 1), true);
    assert.deepEqual(routed(members), [["h2", "h3"], 0]);
  });

  it("have a fresh lease after a time in which no heartbeat could arrive", () => {
    const members = alive("h1");
    members.renew(100_000);
    assert.equal(members.lapse(100_000 + memberLeaseMs), false);
    assert.equal(members.lapse(100_001 + memberLeaseMs), true);
  });

  it("keep the last good value of a key until its lease lapses, whatever is written meanwhile", () => {
    const members = alive("h1", "h2", "h3");
    for (const host of ["h2", "h3"]) members.recordWrite(key(host), members.revision + 1, text(host), 14_000);
    assert.equal(members.recordWrite(key("h1"), 100, "nonsense", 14_000), "changed");
    assert.deepEqual([...members.problems.keys()], [key("h1")]);
    assert.deepEqual(routed(members), [["h1", "h2", "h3"], 0]);
    members.lapse(memberLeaseMs + 1);
    assert.deepEqual(routed(members), [["h2", "h3"], 0]);
    assert.equal(members.recordWrite(key("h1"), 101, text("h1"), 16_000), "changed");
    assert.deepEqual([members.problems.size, routed(members)[0].length], [0, 3]);
  });

  it("ignore writes that are old or already recorded", () => {
    const members = alive("h1", "h2");
    assert.equal(members.recordWrite(key("h1"), 3, text("h1", "STOPPING"), 1), "changed");
    assert.equal(members.recordWrite(key("h1"), 1, text("h1"), 2), "ignored");
    assert.deepEqual(routed(members), [["h2"], 0]);
    assert.equal(members.revision, 3);
  });

  it("vanish if a complete listing lacks them, but not if the listing is outdated", () => {
    const members = alive("h1", "h2", "h3");
    members.beginListing(true);
    for (const [i, host] of ["h1", "h2", "h3"].entries()) members.recordWrite(key(host), i + 1, text(host), 1);
    members.endListing(1);
    assert.deepEqual(routed(members)[0].length, 3);
    members.beginListing(false);
    for (const [i, host] of ["h1", "h2"].entries()) members.recordWrite(key(host), i + 1, text(host), 2);
    members.endListing(2);
    assert.deepEqual([routed(members), members.revision], [[["h1", "h2"], 0], 2]);
  });

  it("are restored from a snapshot after a restart", () => {
    const members = alive("h1", "h2");
    members.recordWrite(key("h2"), 3, text("h2", "STOPPING"), 1);
    const restored = new KnownMembers("web");
    restored.restore([...members.snapshot(), { key: "web.x", text: "broken", revision: 1 }], members.revision, 0);
    assert.deepEqual([routed(restored), restored.revision], [[["h1"], 0], 3]);
  });
});

describe("members that vanish", () => {
  const remove = (members: KnownMembers, host: string, now: number) =>
    members.recordWrite(key(host), members.revision + 1, null, now);

  it("together, more than may be lost, are held until they return, withdraw, or their loss is accepted", () => {
    const members = alive("h1", "h2", "h3", "h4");
    for (const host of ["h1", "h2", "h3"]) remove(members, host, 1_000);
    assert.deepEqual(routed(members), [["h1", "h2", "h3", "h4"], 3]);
    members.recordWrite(key("h1"), members.revision + 1, text("h1"), 2_000);
    assert.equal(routed(members)[1], 2);
    members.recordWrite(key("h2"), members.revision + 1, text("h2", "STOPPING"), 3_000);
    assert.deepEqual(routed(members), [["h1", "h3", "h4"], 1]);
    assert.equal(members.acceptLoss(), 1);
    assert.deepEqual(routed(members), [["h1", "h4"], 0]);
  });

  it("one after the other, count together: once too many are gone, those that left come back", () => {
    const members = alive("h1", "h2", "h3", "h4");
    remove(members, "h1", 1_000);
    assert.deepEqual(routed(members), [["h2", "h3", "h4"], 0]);
    remove(members, "h2", 5_000);
    assert.deepEqual(routed(members), [["h3", "h4"], 0]);
    remove(members, "h3", 9_000);
    assert.deepEqual(routed(members), [["h1", "h2", "h3", "h4"], 3]);
  });

  it("are judged per version: all of one version are exactly half of two, and still too many", () => {
    const members = alive("h1", "h2");
    for (const host of ["h3", "h4"]) members.recordWrite(key(host), members.revision + 1, text(host, "ALIVE", "B"), 0);
    remove(members, "h3", 1_000);
    assert.deepEqual(routed(members), [["h1", "h2", "h4"], 0]);
    remove(members, "h4", 2_000);
    assert.deepEqual(routed(members), [["h1", "h2", "h3", "h4"], 2]);
  });

  it("and are the last of their version, are held however slowly they went", () => {
    const members = alive("h1", "h2");
    for (const [i, host] of ["h1", "h2"].entries()) {
      const now = i * 100_000;
      members.renew(now);
      members.lapse(now);
      remove(members, host, now);
      assert.equal(routed(members)[1], i);
    }
    assert.deepEqual(routed(members), [["h2"], 1]);
  });

  it("long after each other, leave", () => {
    const members = alive("h1", "h2", "h3", "h4");
    for (const [i, host] of ["h1", "h2", "h3"].entries()) {
      const now = i * 20_000;
      members.renew(now);
      members.lapse(now);
      remove(members, host, now);
      assert.equal(routed(members)[1], 0, host);
    }
    assert.deepEqual(routed(members), [["h4"], 0]);
  });

  it("after they have withdrawn, leave, however many there are", () => {
    const members = alive("h1", "h2", "h3", "h4");
    for (const host of ["h1", "h2", "h3", "h4"])
      members.recordWrite(key(host), members.revision + 1, text(host, "STOPPING"), 1);
    for (const host of ["h1", "h2"]) remove(members, host, 2);
    members.lapse(memberLeaseMs + 2);
    assert.deepEqual(routed(members), [[], 0]);
  });

  it("and serve no routed version, are no loss", () => {
    const members = alive("h1", "h2", "h3");
    for (const host of ["h1", "h2", "h3"]) remove(members, host, 1);
    assert.deepEqual(
      members.judgeLosses(() => false, 0.5),
      { members: [], heldBack: [] },
    );
  });

  it("never leave fewer endpoints than max_loss allows within a window", () => {
    const hosts = Array.from({ length: 8 }, (_, i) => `h${i}`);
    const events = fc.array(fc.tuple(fc.constantFrom(...hosts), fc.constantFrom("remove", "return"), fc.nat(1_500)), {
      maxLength: 10,
    });
    fc.assert(
      fc.property(events, (list) => {
        const members = alive(...hosts);
        let now = 0;
        for (const [host, what, later] of list) {
          now += later;
          members.recordWrite(key(host), members.revision + 1, what === "remove" ? null : text(host), now);
          assert(routed(members)[0].length >= 4);
        }
      }),
    );
  });
});
