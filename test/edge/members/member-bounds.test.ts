import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Grants, MemberBounds } from "../../../edge/members/member-bounds.ts";
import type { ReadMember } from "../../../edge/members/read-member.ts";

let made = 0;

function member(over: Partial<ReadMember> = {}): ReadMember {
  const { host = "h1", address = "10.1.0.1", weight = 4 } = over;
  const id = `prod.${host}.s${made++}`;
  return { id, stage: "prod", host, address, port: 8000, weight, version: "A", sha256: null, alive: true, ...over };
}

const grants: Grants = { networks: null, maxCapacity: 256, ownHosts: ["edge-1", "web-9.example"] };

const excess = (members: readonly ReadMember[], over: Partial<Grants> = {}) =>
  new MemberBounds({ ...grants, ...over }).findExcess(members);
const refuses = (of: Partial<ReadMember>, over: Partial<Grants> = {}) => excess([member(of)], over).size === 1;

describe("what a host may claim", () => {
  it("is no address where no other host is, unless the edge's networks have it", () => {
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1"]) {
      assert(refuses({ address }), address);
      const networks = ["127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10"];
      assert(!refuses({ address }, { networks }), address);
    }
    for (const address of ["10.1.0.1", "192.0.2.7", "::ffff:10.0.0.1", "2001:db8::1", "fd00::1"])
      assert(!refuses({ address }), address);
  });

  it("is never a multicast, broadcast or unspecified address", () => {
    for (const address of ["0.0.0.0", "0.0.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "::", "ff02::1"])
      for (const networks of [null, ["0.0.0.0/0", "::/0"]]) assert(refuses({ address }, { networks }), address);
  });

  it("is a loopback address only on the edge's own host", () => {
    for (const host of ["edge-1", "web-9.example"]) assert(!refuses({ host, address: "127.0.0.1" }), host);
    assert(refuses({ host: "web-9", address: "127.0.0.1" }));
    assert.match(
      [...excess([member({ address: "127.0.0.1" })]).values()][0] ?? "",
      /serviceEndpoint\.host: is 127\.0\.0\.1, a loopback address of another host, h1; set advertise/,
    );
  });

  it("is an address in the edge's networks, if it has any", () => {
    const networks = ["10.1.0.0/16", "fd00:1::/32"];
    for (const address of ["10.1.255.1", "fd00:1::9", "::ffff:10.1.0.3"]) assert(!refuses({ address }, { networks }));
    for (const address of ["10.2.0.1", "fd00:2::9", "192.0.2.1", "127.0.0.1"])
      assert(refuses({ address }, { networks }), address);
    assert(refuses({ host: "edge-1", address: "127.0.0.1" }, { networks }), "also on its own host");
  });

  it("is at most a host's capacity over all of its slots; withdrawn ones don't count", () => {
    const slots = [member({ weight: 200 }), member({ weight: 57 }), member({ weight: 56 }), member({ weight: 1 })];
    const found = excess(slots);
    assert.deepEqual([...found.keys()], [slots[1]?.id, slots[3]?.id]);
    assert.match(
      [...found.values()][0] ?? "",
      /is 57, and its host's other slots have 200; this edge's max_capacity is 256/,
    );
    assert.equal(excess([member({ weight: 200, alive: false }), member({ weight: 256 })]).size, 0);
    assert.equal(excess([member({ weight: 256 }), member({ weight: 256, host: "h2" })]).size, 0);
    assert(refuses({ weight: 999_999 }));
    assert(!refuses({ weight: 999_999 }, { maxCapacity: 999_999 }));
  });

  it("is at most eight slots, of which the first ones count", () => {
    const slots = Array.from({ length: 70 }, () => member({ weight: 1 }));
    assert.deepEqual(
      [...excess(slots).keys()],
      slots.slice(8).map(({ id }) => id),
    );
  });
});
