import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { atomicMode } from "../../../../controller-stub/deploy/decisions/atomic-mode.ts";
import { plannedSteps, ruleOf, stepRow } from "../../../../controller-stub/deploy/decisions/steps.ts";
import { atomicSteps } from "../../../../controller-stub/deploy/run/steps/atomic-steps.ts";
import { deploySteps } from "../../../../protocol/deploy.ts";
import { running } from "../running-deploy.ts";

describe("the table of atomic mode", () => {
  it("has a row, and an effect, for every step of the record and both kinds of rollback", () => {
    const rows = new Set(
      deploySteps.flatMap((step) =>
        ([null, "switch", "restore"] as const).map((rollback) => stepRow(running({ step, rollback }))),
      ),
    );
    assert.deepEqual([...rows].sort(), Object.keys(atomicMode.steps).sort());
    assert.deepEqual(Object.keys(atomicSteps).sort(), Object.keys(atomicMode.steps).sort());
  });

  it("rolls back by switching once edges may have the new default, and only then", () => {
    const ways = Object.fromEntries(deploySteps.map((step) => [step, ruleOf(running({ step })).rollback]));
    const switching = Object.keys(ways).filter((step) => ways[step as keyof typeof ways] === "switch");
    assert.deepEqual(switching, ["promoting", "done"]);
  });

  it("retries no host of a rollback that switches the default back", () => {
    assert.equal(ruleOf(running({ step: "restoring", rollback: "switch" })).failedHosts, "keep");
    assert.equal(ruleOf(running({ step: "restoring", rollback: "restore" })).failedHosts, "retry");
  });

  it("plans no barrier for a service that has no routes, and no switch for prepare", () => {
    const steps = (over: Parameters<typeof running>[0]) =>
      plannedSteps(running({ step: atomicMode.start, ...over }), { waves: 1, hosts: 2, edges: ["e1"] }).map(
        ({ step }) => step,
      );
    const all = ["withdrawing", "draining", "installing", "offering", "waiting", "promoting"];
    assert.deepEqual(steps({}), all);
    assert.deepEqual(steps({ goal: "prepare" }), all.slice(0, -1));
    const first = { default: null, serving: [], releases: {} };
    assert.deepEqual(steps({ from: first, withdrawn: [] }), ["installing", "promoting"]);
  });
});
