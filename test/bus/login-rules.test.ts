import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loginFaults } from "../../bus/login-rules.ts";

const SECRET = "s3cret";

describe("a login in a server's address", () => {
  const wrong: [address: string, rule: RegExp][] = [
    [`nats://anna:${SECRET}/${SECRET}@bus:4333`, /must be a nats:\/\/HOST:PORT/],
    [`anna:${SECRET}/${SECRET}@bus:4333`, /must be a nats:\/\/HOST:PORT/],
    // The host was forgotten.
    [`nats://anna:${SECRET}`, /must be a nats:\/\/HOST:PORT/],
    [`nats://anna:${SECRET}%zz@bus:4333`, /has a % in its login that begins no escape/],
    [`nats://:${SECRET}@bus:4333`, /has a password without a user/],
  ];
  for (const [address, rule] of wrong)
    it(`is refused, and not repeated: ${address}`, () => {
      const [fault] = loginFaults({ servers: ["bus:4333", address] });
      assert.deepEqual(fault?.path, ["servers", 1]);
      assert.match(fault.rule, rule);
      assert.doesNotMatch(fault.rule, new RegExp(SECRET));
    });

  it("may have every character as an escape, and is the only one", () => {
    const servers = [`nats://anna:${encodeURIComponent("/@: %")}@bus:4333`];
    assert.deepEqual(loginFaults({ servers }), []);
    const [fault] = loginFaults({ servers, token_file: "/t" });
    assert.match(fault?.rule ?? "", /must not be combined with a login in the server's address/);
  });
});
