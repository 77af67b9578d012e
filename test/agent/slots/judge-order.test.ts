import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { emptySlotJournal, type SlotJournal } from "../../../agent/journal/schema.ts";
import { fingerprint, judgeOrder } from "../../../agent/slots/judge-order.ts";
import { type Order, orderVersion } from "../../../protocol/index.ts";
import { orders, releases } from "../../support/arbitrary.ts";

const journals: fc.Arbitrary<SlotJournal> = fc
  .record({
    epoch: fc.integer({ min: 0, max: 50 }),
    resident: fc.option(releases),
    pending: fc.option(orders),
    outcome: fc.constantFrom("pending" as const, "done" as const, "failed" as const),
    seen: fc.array(orders, { maxLength: 4 }),
  })
  .map(({ epoch, resident, pending, outcome, seen }) => ({
    ...emptySlotJournal(),
    epoch,
    resident: resident && { release: resident, epoch, proven: true },
    order: pending && { order: pending, outcome },
    history: seen.map((order) => ({ id: order.id, fingerprint: fingerprint(order), outcome: "done" as const })),
  }));

/** What the slot holds or is about to hold. */
function held({ resident, order }: SlotJournal) {
  const coming = order?.outcome === "pending" && order.order.action === "install" ? [order.order.release] : [];
  return [...(resident ? [resident.release] : []), ...coming];
}

function journalWith(change: Partial<SlotJournal>): SlotJournal {
  return { ...emptySlotJournal(), ...change };
}

describe("judging an order", () => {
  it("accepts only one of an unseen id, of an epoch not lower than the highest, that fits what the slot holds", () => {
    fc.assert(
      fc.property(orders, journals, (order, journal) => {
        if (judgeOrder("a", order, journal).verdict !== "accept") return;
        assert(!journal.history.some((entry) => entry.id === order.id));
        assert(order.epoch >= journal.epoch);
        const versions = held(journal).map((release) => release.version);
        if (order.action === "uninstall") assert(versions.length === 0 || versions.includes(order.version));
        else
          for (const release of held(journal))
            assert(release.version !== order.release.version || release.sha256 === order.release.sha256);
      }),
      { numRuns: 1_000 },
    );
  });

  it("repeats an order that was seen, whatever the epoch and what is held now", () => {
    fc.assert(
      fc.property(orders, journals, (order, journal) => {
        const entry = { id: order.id, fingerprint: fingerprint(order), outcome: "failed" as const };
        assert.equal(judgeOrder("a", order, { ...journal, history: [entry] }).verdict, "repeat");
      }),
    );
  });

  it("changes nothing, and says the same each time", () => {
    fc.assert(
      fc.property(orders, journals, (order, journal) => {
        const before = structuredClone({ order, journal });
        const first = judgeOrder("a", order, journal);
        assert.deepEqual(judgeOrder("a", order, journal), first);
        assert.deepEqual({ order, journal }, before);
      }),
    );
  });

  it("names the order, a code and a field in every refusal", () => {
    fc.assert(
      fc.property(orders, journals, (order, journal) => {
        const judged = judgeOrder("a", order, journal);
        if (judged.verdict !== "refuse") return;
        const { code, field, message } = judged.error;
        assert(["ORDER_CONFLICT", "STALE_EPOCH", "DIGEST_MISMATCH", "VERSION_NOT_INSTALLED"].includes(code));
        assert(field);
        assert(
          message.includes(
            code === "DIGEST_MISMATCH" ? orderVersion(order) : code.startsWith("V") ? orderVersion(order) : order.id,
          ),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it("tells apart orders that differ in anything, and only those", () => {
    fc.assert(
      fc.property(orders, orders, (one, other) => {
        const same = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
        assert.equal(fingerprint(one) === fingerprint(other), same);
      }),
    );
  });

  it("knows an order again whose fields come in another order", () => {
    fc.assert(
      fc.property(orders, (order) => {
        const reversed = Object.fromEntries(Object.entries(order).reverse()) as unknown as Order;
        assert.equal(fingerprint(reversed), fingerprint(order));
      }),
    );
  });

  it("accepts an uninstall where the slot is empty: there is nothing that it could contradict", () => {
    fc.assert(
      fc.property(orders, (order) => {
        if (order.action === "uninstall") assert.equal(judgeOrder("a", order, journalWith({})).verdict, "accept");
      }),
    );
  });
});

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, inner]) => [key, sorted(inner)]);
}
