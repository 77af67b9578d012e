import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Routes } from "../../../../protocol/routes.ts";
import { wrongAnswers } from "../../../../scripts/benchmarks/support/chaos/judge-answers.ts";

function routes(revision: number, atMs: number, ...serving: string[]) {
  const value: Routes = { epoch: 1, revision, mode: "atomic", default: serving[0] as string, serving };
  return { atMs, revision, value };
}

function ack(appliedRoutes: number, atMs: number) {
  return { atMs, revision: appliedRoutes, value: { appliedRoutes } };
}

const answer = (fromMs: number, toMs: number) => ({ asked: "A", answered: "B", fromMs, toMs });

describe("answers from another version than the one asked for", () => {
  // A is served, leaves, and comes back.
  const history = [routes(1, 0, "B", "A"), routes(2, 1_000, "B"), routes(3, 2_000, "B", "A")];
  const acks = [ack(1, 50), ack(2, 1_100), ack(3, 2_100)];
  const cases: [what: string, fromMs: number, toMs: number, isWrong: boolean][] = [
    ["while it is served", 500, 510, true],
    ["as it leaves the routes", 990, 1_005, false],
    ["after it has left", 1_500, 1_510, false],
    ["before the edge has heard that it is back", 2_050, 2_060, false],
    ["after the edge has acknowledged that it is back", 2_200, 2_210, true],
  ];
  for (const [what, fromMs, toMs, isWrong] of cases)
    it(`are ${isWrong ? "wrong" : "meant"} ${what}`, () => {
      assert.equal(wrongAnswers([answer(fromMs, toMs)], history, acks).length, isWrong ? 1 : 0);
    });

  it("are judged by what the edge had acknowledged, also when it started anew since", () => {
    assert.equal(wrongAnswers([answer(2_400, 2_410)], history, [...acks, ack(0, 2_300)]).length, 1);
  });

  it("are meant before there are routes", () => {
    assert.deepEqual(wrongAnswers([answer(10, 20)], [], []), []);
  });
});
