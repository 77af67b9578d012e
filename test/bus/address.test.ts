import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostOf, parseAddress, redactAddress } from "../../bus/address.ts";

describe("a server's address", () => {
  it("has a scheme or none, a port or none, and a login or none", () => {
    const hosts = [
      "nats://bus:4333",
      "tls://bus:4333",
      "bus:4333",
      "bus",
      "anna:pw@bus:4333",
      "nats://token@[::2]:4333",
    ];
    assert.deepEqual(
      hosts.map((address) => hostOf(parseAddress(address) as URL)),
      ["bus", "bus", "bus", "bus", "bus", "::2"],
    );
  });

  it("is refused where it is of another kind, or is none", () => {
    for (const wrong of ["http://bus", "ws://bus:80", "nats://", "bus:port", "", "nats://bus:99999"])
      assert.equal(parseAddress(wrong), undefined, wrong);
  });

  it("is shown without its login, with a scheme or without", () => {
    assert.equal(redactAddress("tls://anna:pw@bus:4333"), "tls://***@bus:4333");
    assert.equal(redactAddress("anna:pw@bus:4333"), "***@bus:4333");
    assert.equal(redactAddress("bus:4333"), "bus:4333");
    for (const password of ["pa/ss", "pa ss", "pa@ss", "pa\nss", "p%zz", "a://b"])
      assert.equal(redactAddress(`nats://anna:${password}@bus:4333`), "nats://***@bus:4333");
  });
});
