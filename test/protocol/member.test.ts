import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { memberSchema, type Registration, toMember } from "../../protocol/member.ts";
import { hexDigests, versions } from "../support/arbitrary.ts";

const registrations: fc.Arbitrary<Registration> = fc.record(
  {
    service: fc.constant("web"),
    stage: fc.constantFrom("prod", "canary"),
    host: fc.constant("h1.example"),
    slot: fc.constantFrom("a", "b"),
    version: versions,
    sha256: hexDigests,
    epoch: fc.nat(),
    address: fc.record(
      { host: fc.constantFrom("10.0.0.3", "::1"), port: fc.integer({ min: 1, max: 65535 }) },
      { noNullPrototype: true },
    ),
    capacity: fc.nat(1024),
    workers: fc.nat(1024),
    status: fc.constantFrom("ALIVE" as const, "STOPPING" as const),
  },
  { noNullPrototype: true },
);

describe("a member of the serverset", () => {
  it("says all of a registration, with every metadata value a string", () => {
    fc.assert(
      fc.property(registrations, (registration) => {
        const member = memberSchema.parse(JSON.parse(JSON.stringify(toMember(registration))));
        const { metadata } = member;
        for (const value of Object.values(metadata)) assert.equal(typeof value, "string");
        assert.deepEqual(member.additionalEndpoints, {});
        assert.deepEqual(registration, {
          service: metadata.service,
          stage: metadata.stage,
          host: metadata.host,
          slot: metadata.slot,
          version: metadata.version,
          sha256: metadata.sha256,
          epoch: Number(metadata.epoch),
          address: member.serviceEndpoint,
          capacity: Number(metadata.capacity),
          workers: Number(metadata.workers),
          status: member.status,
        });
      }),
    );
  });
});
