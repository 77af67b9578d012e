import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { chooseSlots } from "../../../../controller-stub/deploy/decisions/choose-slots.ts";

const version = fc.constantFrom("A", "B", "C", "D");
const held = fc.option(version);

describe("chooseSlots", () => {
  it("takes the slot that holds the version, then an empty one, then one that is not served; never the default's", () => {
    const at = (a: string | null, b: string | null) => [
      { slot: "a", version: a },
      { slot: "b", version: b },
    ];
    const to = (version: string, current: string | null, serving: string[]) => ({ version, current, serving });
    const none = null;
    assert.deepEqual(chooseSlots(at(none, none), to("A", none, [])), { slot: "a", was: none, base: none });
    assert.deepEqual(chooseSlots(at("A", none), to("B", "A", ["A"])), { slot: "b", was: none, base: none });
    assert.deepEqual(chooseSlots(at("A", "B"), to("C", "B", ["A", "B"])), { slot: "a", was: "A", base: none });
    assert.deepEqual(chooseSlots(at("A", "B"), to("C", "A", ["A", "B"])), { slot: "b", was: "B", base: none });
    assert.deepEqual(chooseSlots(at("C", "B"), to("C", "B", ["B"])), { slot: "a", was: "C", base: none });
    const fresh = { slot: "b", was: none, base: { slot: "a", was: none } };
    assert.deepEqual(chooseSlots(at(none, none), to("C", "B", ["A", "B"])), fresh);
    const there = { slot: "a", was: "C", base: { slot: "b", was: "X" } };
    assert.deepEqual(chooseSlots(at("C", "X"), to("C", "B", ["A", "B"])), there);
    assert.equal(chooseSlots([{ slot: "a", version: "B" }], to("C", "B", ["B"])), undefined);
    // Of two slots with the default version none is given away; a third slot is taken before either of them.
    assert.equal(chooseSlots(at("B", "B"), to("C", "B", ["A", "B"])), undefined);
    const third = [...at("B", "B"), { slot: "c", version: "A" }];
    assert.deepEqual(chooseSlots(third, to("C", "B", ["A", "B"])), { slot: "c", was: "A", base: none });
  });

  it("never gives away the default version, nor one slot to two versions", () => {
    fc.assert(
      fc.property(
        fc.array(held, { minLength: 0, maxLength: 4 }),
        version,
        held,
        fc.array(version),
        (slots, wanted, current, serving) => {
          fc.pre(wanted !== current);
          const views = slots.map((each, at) => ({ slot: `s${at}`, version: each }));
          const choice = chooseSlots(views, { version: wanted, current, serving });
          if (choice === undefined) return slots.length < 2 || slots.every((each) => each === current);
          const of = (name: string) => views.find(({ slot }) => slot === name)?.version;
          const holds = current !== null && views.some((view) => view.version === current);
          const others = views.filter(({ slot }) => slot !== choice.slot && slot !== choice.base?.slot);
          return (
            choice.slot !== choice.base?.slot &&
            (current === null || (holds ? others.some((view) => view.version === current) : choice.base !== null)) &&
            of(choice.slot) === choice.was
          );
        },
      ),
    );
  });
});
