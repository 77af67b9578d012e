import assert from "node:assert/strict";
import { isIP } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readMember } from "../../../edge/members/read-member.ts";
import { type Member, memberSchema, toMember } from "../../../protocol/member.ts";
import { versionSchema } from "../../../protocol/names.ts";
import { mutated } from "../../support/arbitrary.ts";

const KEY = "web.prod.h1_example.a";
const good = (): Member =>
  toMember({
    ...{ service: "web", stage: "prod", host: "h1.example", slot: "a", version: "1.0.0", sha256: "a".repeat(64) },
    ...{ epoch: 3, address: { host: "10.0.0.3", port: 8000 }, capacity: 4, workers: 4, status: "ALIVE" },
  });

function readWith(change: (member: Member) => void, key = KEY) {
  const member = good();
  change(member);
  return readMember("web", key, JSON.stringify(member));
}

describe("reading a member", () => {
  it("accepts what an agent writes", () => {
    assert.deepEqual(
      readWith(() => {}),
      {
        ...{
          id: "prod.h1_example.a",
          stage: "prod",
          host: "h1.example",
          address: "10.0.0.3",
          port: 8000,
          weight: 4,
          version: "1.0.0",
        },
        ...{ sha256: "a".repeat(64), alive: true },
      },
    );
  });

  const rules: [string, (member: Member) => void, RegExp][] = [
    [
      "another service than its key's",
      (m) => {
        m.metadata.service = "web-api";
      },
      /not those of its key/,
    ],
    [
      "another host than its key's",
      (m) => {
        m.metadata.host = "h2.example";
      },
      /not those of its key/,
    ],
    [
      "a slot with a dot",
      (m) => {
        m.metadata.slot = "a.b";
      },
      /not those of its key/,
    ],
    [
      "no version",
      (m) => {
        delete m.metadata.version;
      },
      /version/,
    ],
    [
      "a version that leads out",
      (m) => {
        m.metadata.version = "a/../../b";
      },
      /version/,
    ],
    [
      "no capacity",
      (m) => {
        delete m.metadata.capacity;
      },
      /capacity/,
    ],
    [
      "a capacity of nothing",
      (m) => {
        m.metadata.capacity = "0";
      },
      /capacity/,
    ],
    [
      "half a worker",
      (m) => {
        m.metadata.capacity = "1.5";
      },
      /capacity/,
    ],
    [
      "a host name for an address",
      (m) => {
        m.serviceEndpoint.host = "h1.example";
      },
      /IP address/,
    ],
    [
      "an address with a zone",
      (m) => {
        m.serviceEndpoint.host = "fe80::1%eth0";
      },
      /IP address/,
    ],
    [
      "the address of no host",
      (m) => {
        m.serviceEndpoint.host = "0.0.0.0";
      },
      /IP address/,
    ],
    [
      "a port of 0",
      (m) => {
        m.serviceEndpoint.port = 0;
      },
      /port/,
    ],
    [
      "a configuration in its address",
      (m) => {
        m.serviceEndpoint.host = '1.2.3.4"; } sub vcl_recv {';
      },
      /IP address/,
    ],
  ];
  for (const [what, change, rule] of rules) {
    it(`refuses ${what}, and names the rule`, () => {
      const read = readWith(change);
      assert("broken" in read);
      assert.match(read.broken, rule);
    });
  }

  it("reads every status except ALIVE as a withdrawal", () => {
    for (const status of ["STARTING", "STOPPING", "STOPPED", "DEAD", "WARNING", "UNKNOWN"] as const) {
      const read = readWith((member) => void Object.assign(member, { status }));
      assert("alive" in read && !read.alive, status);
    }
  });

  it("names the broken rule for any text, and never throws", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          mutated(fc.constant(good())).map((v) => JSON.stringify(v)),
        ),
        (text) => {
          const read = readMember("web", KEY, text);
          if ("broken" in read) return read.broken.length > 0;
          // What is accepted is safe to write into a proxy's configuration.
          assert.equal(read.id, "prod.h1_example.a");
          assert(isIP(read.address) !== 0 && Number.isInteger(read.port) && read.port >= 1 && read.port <= 65_535);
          assert(Number.isInteger(read.weight) && read.weight >= 1);
          assert(versionSchema.safeParse(read.version).success && memberSchema.safeParse(JSON.parse(text)).success);
          return true;
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
