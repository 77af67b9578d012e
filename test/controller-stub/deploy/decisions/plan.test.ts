import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { draftDeploy } from "../../../../controller-stub/deploy/decisions/plan.ts";
import { hostStatus, slotStatus } from "../../fake-host.ts";

const version = fc.constantFrom("A", "B", "C", "D");
const held = fc.option(version);

describe("a plan", () => {
  it("withdraws what it replaces and what nobody holds, never the default nor the new version", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(held, held), { minLength: 1, maxLength: 8 }),
        fc.uniqueArray(version, { minLength: 1 }),
        (fleet, serving) => {
          const current: string = serving[0] as string;
          const wanted = current === "C" ? "D" : "C";
          const statuses = fleet.map(([a, b], at) =>
            hostStatus("web", `h${at}`, {
              slots: { a: slotStatus("a", { version: a }), b: slotStatus("b", { version: b }) },
            }),
          );
          const routes = { default: current, serving };
          const plan = { wave: { percent: 10 }, canaryStage: null };
          fc.pre(!fleet.some(([a, b]) => a === current && b === current));
          const draft = draftDeploy({ version: wanted, routes, statuses, fleet: statuses, plan, now: Date.now() });
          const left: string[] = serving.filter((each) => !draft.withdrawn.includes(each));
          assert.ok(left.includes(current) && !draft.withdrawn.includes(wanted));
          for (const { was, base } of draft.hosts)
            for (const each of [was, base?.was])
              assert.ok(each == null || each === wanted || each === current || !left.includes(each));
        },
      ),
    );
  });

  it("is impossible for a host that holds the default in all of its slots, and says how to make room", () => {
    const slots = { a: slotStatus("a", { version: "B" }), b: slotStatus("b", { version: "B" }) };
    const statuses = [hostStatus("web", "h7", { slots })];
    const routes = { default: "B", serving: ["B"] };
    const plan = { wave: { percent: 10 }, canaryStage: null };
    assert.throws(
      () => draftDeploy({ version: "C", routes, statuses, fleet: statuses, plan, now: Date.now() }),
      /h7 holds B, the default, in all of its slots \(a, b\).*slotctl drain a.*uninstall web B --slot a --host h7 --force --reason TEXT.*--exclude h7/,
    );
  });
});
