import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostVerdict } from "../../../../controller-stub/deploy/decisions/host-verdict.ts";
import type { InstallOrder } from "../../../../protocol/order.ts";
import { hostStatus, slotStatus, withOrder } from "../../fake-host.ts";

const SHA = "a".repeat(64);

describe("host verdicts", () => {
  it("an order is done only if its slot holds what was ordered, with its digest, and has not failed since", () => {
    const release = { version: "C", url: "file:///c.tgz", sha256: SHA, sizeBytes: 1 };
    const common = { id: "d:2:a:install", epoch: 2, issuedBy: "t", issuedAt: "2026-01-01T00:00:00.000Z" };
    const order: InstallOrder = { ...common, action: "install", release };
    const verdict = (slot: ReturnType<typeof slotStatus> | undefined) =>
      hostVerdict({ slot: "a", order, before: undefined }, slot && hostStatus("web", "h1", { slots: { a: slot } }));
    const done = { ...withOrder("a", order, "done"), sha256: SHA };
    const code = (slot: ReturnType<typeof slotStatus>) => {
      const found = verdict(slot);
      return found.kind === "failed" ? found.code : found.kind;
    };
    assert.equal(verdict(undefined).kind, "waiting");
    assert.equal(code(slotStatus("a")), "waiting");
    assert.equal(code({ ...withOrder("a", order, "pending"), sha256: SHA }), "waiting");
    assert.equal(code(done), "done");
    assert.equal(code({ ...done, state: "starting" }), "done");
    assert.equal(code({ ...done, version: "B" }), "VERSION_MISMATCH");
    assert.equal(code({ ...done, version: null }), "VERSION_MISMATCH");
    assert.equal(code({ ...done, sha256: "b".repeat(64) }), "DIGEST_MISMATCH");
    const lastError = { code: "CRASH_LOOP", message: "again and again" };
    assert.equal(code({ ...done, state: "failed", version: null, lastError }), "CRASH_LOOP");
    assert.equal(code(withOrder("a", order, "failed", { code: "NOT_READY", message: "no" })), "NOT_READY");
    assert.equal(code(withOrder("a", { ...order, id: "other", epoch: 3 }, "done")), "SUPERSEDED");
    assert.equal(
      code(slotStatus("a", { refused: { code: "STALE_EPOCH", message: "old", orderId: order.id } })),
      "STALE_EPOCH",
    );
  });
});
