import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { emptySlotJournal, type SlotJournal } from "../../../agent/journal/schema.ts";
import { fingerprint, judgeOrder } from "../../../agent/slots/judge-order.ts";
import { noTraffic, type Traffic } from "../../../agent/slots/routed-by.ts";
import { type Order, orderVersion } from "../../../protocol/order.ts";
import { orders, releases, versions } from "../../support/arbitrary.ts";

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
        if (judgeOrder("a", order, journal, noTraffic).verdict !== "accept") return;
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

  it("refuses an epoch that would leave no room for later ones, and takes any that a count of orders reaches", () => {
    const highest = Number.MAX_SAFE_INTEGER;
    fc.assert(
      fc.property(orders, fc.integer({ min: 0, max: 2 ** 31 }), (order, epoch) => {
        const judged = (next: number) => judgeOrder("a", { ...order, epoch: next }, journalWith({ epoch }), noTraffic);
        const absurd = judged(highest);
        assert(absurd.verdict === "refuse");
        assert.equal(absurd.error.code, "EPOCH_TOO_HIGH");
        assert.equal(absurd.error.field, "epoch");
        assert.equal(judged(highest - 1).verdict, "refuse");
        assert.equal(judged(epoch + 1_000_000_000).verdict, "accept");
      }),
    );
  });

  it("repeats an order that was seen, whatever the epoch and what is held now", () => {
    fc.assert(
      fc.property(orders, journals, (order, journal) => {
        const entry = { id: order.id, fingerprint: fingerprint(order), outcome: "failed" as const };
        assert.equal(judgeOrder("a", order, { ...journal, history: [entry] }, noTraffic).verdict, "repeat");
      }),
    );
  });

  it("changes nothing, and says the same each time", () => {
    fc.assert(
      fc.property(orders, journals, (order, journal) => {
        const before = structuredClone({ order, journal });
        const first = judgeOrder("a", order, journal, noTraffic);
        assert.deepEqual(judgeOrder("a", order, journal, noTraffic), first);
        assert.deepEqual({ order, journal }, before);
      }),
    );
  });

  it("names the order, a code and a field in every refusal", () => {
    fc.assert(
      fc.property(orders, journals, (order, journal) => {
        const judged = judgeOrder("a", order, journal, noTraffic);
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
        if (order.action === "uninstall")
          assert.equal(judgeOrder("a", order, journalWith({}), noTraffic).verdict, "accept");
      }),
    );
  });
});

const traffics: fc.Arbitrary<Traffic> = fc.record({
  routes: fc.option(fc.record({ default: versions, serving: fc.array(versions, { maxLength: 3 }) })),
  edges: fc.array(
    fc.record({
      edge: fc.constantFrom("e1", "e2"),
      default: fc.option(versions),
      serving: fc.array(versions, { maxLength: 2 }),
    }),
    { maxLength: 3 },
  ),
});

/** Every version that somebody routes to. */
function routed({ routes, edges }: Traffic): string[] {
  const all = [...(routes ? [routes] : []), ...edges];
  return all.flatMap((each) => [...each.serving, ...(each.default === null ? [] : [each.default])]);
}

describe("judging an order that takes a version away", () => {
  const takesAway = (order: Order, { resident }: SlotJournal) => {
    const held = resident?.release.version;
    if (held === undefined) return null;
    return (order.action === "install") === (held !== orderVersion(order)) ? held : null;
  };

  it("refuses it while the routes or an edge name that version, and only then, unless it is forced", () => {
    fc.assert(
      fc.property(orders, journals, traffics, fc.boolean(), (order, journal, traffic, force) => {
        const asked: Order = force ? { ...order, force, reason: "because" } : order;
        const calm = judgeOrder("a", asked, journal, noTraffic);
        const judged = judgeOrder("a", asked, journal, traffic);
        const removed = takesAway(order, journal);
        if (calm.verdict !== "accept" || force || removed === null || !routed(traffic).includes(removed))
          return assert.deepEqual(judged, calm);
        assert(judged.verdict === "refuse" && judged.error.code === "VERSION_IN_USE");
        assert(judged.error.message.startsWith(`${removed} is in use by `));
        assert.equal(judged.error.field, "version");
      }),
      { numRuns: 2_000 },
    );
  });

  it("names who routes to it: the default before the rest, and each edge", () => {
    const release = { version: "1", url: "file:///r", sha256: "a".repeat(64), sizeBytes: 1 };
    const journal = journalWith({ resident: { release, epoch: 1, proven: true } });
    const order: Order = {
      id: "x",
      epoch: 2,
      issuedBy: "ci",
      issuedAt: "2026-01-02T03:04:05.678Z",
      action: "uninstall",
      version: "1",
    };
    const why = (traffic: Traffic) => {
      const judged = judgeOrder("a", order, journal, traffic);
      return judged.verdict === "refuse" ? /in use by (.*);/.exec(judged.error.message)?.[1] : judged.verdict;
    };
    const edge = (name: string, serving: string[]) => ({ edge: name, serving, default: null });
    const routes = { default: "1", serving: ["2", "1"] };
    assert.equal(why({ routes, edges: [edge("e1", ["1"])] }), "the routes, as the default");
    assert.equal(why({ routes: { ...routes, default: "2" }, edges: [] }), "the routes");
    const other = { default: "2", serving: ["2"] };
    assert.equal(why({ routes: other, edges: [edge("e1", ["1", "2"]), edge("e2", ["2"])] }), "edge e1");
    assert.equal(why({ routes: null, edges: [edge("e1", ["1"]), edge("e2", ["1"])] }), "edges e1, e2");
    assert.equal(why({ routes: other, edges: [] }), "accept");
  });
});

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, inner]) => [key, sorted(inner)]);
}
