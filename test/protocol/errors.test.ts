import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { InternalError, redact, StaleEpochError, toSlotdError } from "../../protocol/errors.ts";

describe("errors on the wire", () => {
  it("carries code, message and field, and no stack", () => {
    const wire = new StaleEpochError("o-1", 3, 7).toWire();
    assert.deepEqual(Object.keys(wire).sort(), ["code", "field", "message", "orderId"]);
    assert.equal(wire.code, "STALE_EPOCH");
    assert.match(wire.message, /epoch 3.*seen 7/);
  });

  it("makes INTERNAL of whatever is thrown, and keeps it as the cause", () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const error = toSlotdError(thrown);
        assert(error instanceof InternalError);
        assert.equal(error.cause, thrown);
      }),
    );
  });

  it("leaves an error of its own as it is", () => {
    const error = new StaleEpochError("o-1", 3, 7);
    assert.equal(toSlotdError(error), error);
  });
});

describe("an address that people may see", () => {
  it("has no user and no password", () => {
    assert.equal(redact("nats://anna:secret@h:4222"), "nats://***@h:4222");
    assert.equal(redact("nats://token@h:4222"), "nats://***@h:4222");
    assert.equal(redact("no answer from tls://u:p@h1, tls://u:p@h2"), "no answer from tls://***@h1, tls://***@h2");
    assert.equal(redact("https://h/a@b"), "https://h/a@b");
  });

  it("never shows a password, whatever is in it", () => {
    const password = fc.stringMatching(/^[A-Za-z0-9!$&'()*+,;=:%-]{4,20}$/).map((text) => `pw${text}`);
    fc.assert(fc.property(password, (pw) => !redact(`nats://u:${pw}@h:4222/x`).includes(pw)));
    assert.equal(redact("nats://u:p@ss@h:4222"), "nats://***@h:4222");
  });
});
