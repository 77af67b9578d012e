import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decide, type SlotView } from "../../../agent/slots/decide.ts";
import { slotStates } from "../../../protocol/states.ts";
import { installs, orders, releases } from "../../support/arbitrary.ts";
import { type Luck, ModelSlot } from "./model.ts";

/** More steps than any way from any state to any goal takes. */
const ENOUGH = 15;

const luck = fc.constantFrom<Luck>("succeeds", "succeeds", "succeeds", "fails", "is left", "crashes");
const happening = fc.oneof(
  { weight: 6, arbitrary: luck.map((how) => (slot: ModelSlot) => void slot.step(how)) },
  { weight: 3, arbitrary: orders.map((order) => (slot: ModelSlot) => give(slot, order)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      (slot: ModelSlot) => slot.hold(),
      (slot: ModelSlot) => slot.takeBack(),
      (slot: ModelSlot) => slot.restart(),
      (slot: ModelSlot) => slot.loop(),
      (slot: ModelSlot) => slot.retryIsDue(),
      (slot: ModelSlot) => slot.crash(),
    ),
  },
);
const histories = fc.array(happening, { maxLength: 40 });

/**
 * An order as the slot's judge lets it through: an uninstall names what is held or on its way, or the slot is empty.
 */
function give(slot: ModelSlot, order: Parameters<ModelSlot["take"]>[0]): void {
  const { resident, pending } = slot.view;
  const coming = pending?.action === "install" ? [pending.release.version] : [];
  const held = [...(resident ? [resident.release.version] : []), ...coming];
  if (order.action === "uninstall" && held.length > 0 && !held.includes(order.version)) return;
  slot.take(order);
}

function after(history: ((slot: ModelSlot) => void)[]): ModelSlot {
  const slot = new ModelSlot();
  for (const happens of history) happens(slot);
  return slot;
}

function settle(slot: ModelSlot): void {
  for (let steps = 0; slot.next !== null; steps++) {
    assert(steps < ENOUGH, `no end is in sight after:\n${slot.history.join("\n")}`);
    slot.step("succeeds");
  }
}

describe("deciding on the next step", () => {
  it("asks for no transition that is not there, drains before it stops, and takes nothing away that is to stay", () => {
    fc.assert(
      fc.property(histories, (history) => void after(history)),
      { numRuns: 3_000 },
    );
  });

  it("comes to an end from every situation, with no order left open", () => {
    fc.assert(
      fc.property(histories, (history) => {
        const slot = after(history);
        settle(slot);
        assert.equal(slot.view.pending, null);
        assert(["empty", "serving", "draining", "failed"].includes(slot.view.state), slot.view.state);
        assert.equal(slot.view.running, slot.view.state === "serving" || slot.view.state === "draining");
        const { state, held, crashLooped } = slot.view;
        // What was given up while it was held stays held, for when it is tried again.
        assert.equal(state === "draining" || (crashLooped && held), held, "only what is held stays drained");
      }),
      { numRuns: 3_000 },
    );
  });

  it("ends in what the last install says, whatever happened before", () => {
    fc.assert(
      fc.property(histories, installs, (history, order) => {
        const slot = after(history);
        slot.take(order);
        settle(slot);
        assert.equal(slot.view.state, "serving");
        assert.equal(slot.view.resident?.release.version, order.release.version);
      }),
      { numRuns: 3_000 },
    );
  });

  it("ends empty after an uninstall of what the slot holds", () => {
    fc.assert(
      fc.property(histories, orders, (history, order) => {
        const slot = after(history);
        const { resident } = slot.view;
        if (order.action !== "uninstall") return;
        slot.take({ ...order, version: resident?.release.version ?? order.version });
        settle(slot);
        assert.equal(slot.view.state, "empty");
        assert.equal(slot.view.resident, null);
      }),
      { numRuns: 1_000 },
    );
  });

  it("never brings back by itself what was ordered away, whatever fails, crashes or is ordered for others", () => {
    const happens = fc.oneof(
      { weight: 4, arbitrary: luck.map((how) => (slot: ModelSlot) => void slot.step(how)) },
      { weight: 1, arbitrary: installs.map((order) => (slot: ModelSlot) => slot.take(order)) },
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          (slot: ModelSlot) => slot.restart(),
          (slot: ModelSlot) => slot.retryIsDue(),
          (slot: ModelSlot) => slot.crash(),
        ),
      },
    );
    fc.assert(
      fc.property(installs, orders, fc.array(happens, { maxLength: 40 }), (install, order, later) => {
        if (order.action !== "uninstall") return;
        const { version } = install.release;
        const slot = new ModelSlot();
        slot.take(install);
        settle(slot);
        slot.take({ ...order, version });
        for (const happens of later) {
          happens(slot);
          const { pending, resident, state } = slot.view;
          // Somebody ordered it again.
          if (pending?.action === "install" && pending.release.version === version) return;
          if (resident?.release.version !== version) return;
          assert(state !== "starting", slot.history.join("\n"));
          assert(slot.next !== "start" && slot.next !== "undrain", `${slot.next} after:\n${slot.history.join("\n")}`);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it("lets what is held serve on when what was only on its way is uninstalled", () => {
    fc.assert(
      fc.property(installs, installs, fc.nat(4), orders, (first, second, steps, order) => {
        if (first.release.version === second.release.version || order.action !== "uninstall") return;
        const slot = new ModelSlot();
        slot.take(first);
        settle(slot);
        slot.take(second);
        for (let i = 0; i < steps && slot.view.resident?.release.version === first.release.version; i++)
          slot.step("succeeds");
        const { resident, running } = slot.view;
        slot.take({ ...order, version: second.release.version });
        settle(slot);
        const stays =
          running &&
          resident?.release.version === first.release.version &&
          slot.history.every((line) => !/: (stop|remove)/.test(line));
        if (stays) assert.equal(slot.view.resident?.release.version, first.release.version);
        if (stays) assert.equal(slot.view.state, "serving");
      }),
    );
  });

  it("ends with nothing running, the release still there, when the agent is to end", () => {
    fc.assert(
      fc.property(histories, (history) => {
        const slot = after(history);
        const { resident } = slot.view;
        slot.view = { ...slot.view, shutdown: true };
        settle(slot);
        assert.equal(slot.view.running, false);
        assert.equal(slot.view.resident?.release.version, resident?.release.version);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is the same for the same view, and leaves the view as it was", () => {
    const views: fc.Arbitrary<SlotView> = fc.record({
      state: fc.constantFrom(...slotStates),
      resident: fc.option(fc.record({ release: releases, proven: fc.boolean() })),
      pending: fc.option(orders),
      staged: fc.boolean(),
      running: fc.boolean(),
      drained: fc.boolean(),
      held: fc.boolean(),
      leaving: fc.boolean(),
      crashLooped: fc.boolean(),
      shutdown: fc.boolean(),
      retry: fc.boolean(),
    });
    fc.assert(
      fc.property(views, (view) => {
        const before = JSON.stringify(view);
        assert.equal(decide(view), decide(structuredClone(view)));
        assert.equal(JSON.stringify(view), before);
      }),
    );
  });
});
