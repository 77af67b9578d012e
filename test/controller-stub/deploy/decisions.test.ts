import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type KnownEdge, missingEdges } from "../../../controller-stub/deploy/decisions/barrier.ts";
import { chooseSlots } from "../../../controller-stub/deploy/decisions/choose-slots.ts";
import { hostVerdict } from "../../../controller-stub/deploy/decisions/host-verdict.ts";
import { judgeVerb } from "../../../controller-stub/deploy/decisions/judge-verb.ts";
import { isEnded, nextStep } from "../../../controller-stub/deploy/decisions/next-step.ts";
import { draftDeploy } from "../../../controller-stub/deploy/decisions/plan.ts";
import { matches, selectHosts } from "../../../controller-stub/deploy/decisions/select-hosts.ts";
import {
  routesDuring,
  routesOffered,
  routesSwitched,
} from "../../../controller-stub/deploy/decisions/wanted-routes.ts";
import { planWaves, waveSize } from "../../../controller-stub/deploy/decisions/waves.ts";
import { bounded } from "../../../controller-stub/deploy/run/bounded.ts";
import { lacking } from "../../../controller-stub/deploy/run/converge.ts";
import { resumed } from "../../../controller-stub/deploy/run/resumed.ts";
import { nextRoutes } from "../../../controller-stub/deploy/run/routes.ts";
import { type Deploy, deploySchema, deploySteps, type RunningDeploy } from "../../../protocol/deploy.ts";
import type { InstallOrder } from "../../../protocol/order.ts";
import { type EdgeStatus, routesSchema } from "../../../protocol/routes.ts";
import { hostStatus, slotStatus, withOrder } from "../fake-host.ts";

const SHA = "a".repeat(64);
const version = fc.constantFrom("A", "B", "C", "D");
const held = fc.option(version);

describe("the decisions of a deploy", () => {
  it("the slot for a version: what is there already, then an empty one, then what is not served; never the default's", () => {
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

  it("no choice ever gives away the default version, or one slot to two versions", () => {
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

  it("waves hold every host once, are never larger than asked for, and have canaries first and silent hosts last", () => {
    const hosts = fc.uniqueArray(
      fc.record({
        host: fc.stringMatching(/^[a-z][0-9]{1,3}$/),
        stage: fc.constantFrom("prod", "canary"),
        absent: fc.boolean(),
      }),
      { selector: ({ host }) => host, maxLength: 60 },
    );
    const wave = fc.oneof(
      fc.record({ percent: fc.double({ min: 1, max: 100, noNaN: true }) }),
      fc.record({ hosts: fc.integer({ min: 1, max: 70 }) }),
    );
    fc.assert(
      fc.property(hosts, wave, fc.constantFrom(null, "canary"), (all, size, canaryStage) => {
        const waves = planWaves(all, { wave: size, canaryStage });
        assert.deepEqual(waves.flat().sort(), all.map(({ host }) => host).sort());
        const canaries = all.filter(({ stage, absent }) => stage === canaryStage && !absent).map(({ host }) => host);
        const rest = canaries.length > 0 ? waves.slice(1) : waves;
        if (canaries.length > 0) assert.deepEqual(waves[0]?.toSorted(), canaries.sort());
        const most = waveSize(size, all.length - canaries.length);
        assert.ok(rest.every((each) => each.length > 0 && each.length <= most));
        const silent = rest.flat().map((name) => all.find(({ host }) => host === name)?.absent);
        assert.deepEqual(
          silent,
          silent.toSorted((x, y) => Number(x) - Number(y)),
        );
      }),
    );
    assert.deepEqual(
      [waveSize({ percent: 10 }, 6), waveSize({ percent: 10 }, 1000), waveSize({ percent: 15 }, 19)],
      [1, 100, 2],
    );
  });

  it("a pattern stands for whole names, and its dots are dots", () => {
    assert.ok(matches("h*", "h12") && matches("*.eu", "h1.eu") && matches("h1", "h1") && matches("*", "x"));
    assert.ok(!matches("h1", "h12") && !matches("*.eu", "h1-eu") && !matches("h*2", "h1"));
    const names = ["h1", "h2", "x1"];
    assert.deepEqual(selectHosts(names, { only: [], exclude: ["x*"] }), { hosts: ["h1", "h2"], idle: [] });
    assert.deepEqual(selectHosts(names, { only: ["h*", "y"], exclude: ["h2"] }), { hosts: ["h1"], idle: ["y"] });
  });

  it("an edge counts only with the routes, their epoch and the members that are needed", () => {
    const edge = (over: Partial<EdgeStatus>): KnownEdge => {
      const at = "2026-01-01T00:00:00.000Z";
      const rest = { serving: [], default: null, at, leaseMs: 1, endpoints: 0, heldBack: 0, problems: [] };
      const status = {
        service: "web",
        edge: "e1",
        proxy: "p",
        appliedRoutes: 7,
        appliedServersets: 9,
        epoch: 3,
        ...rest,
      };
      return { edge: "e1", status: { ...status, ...over } };
    };
    const need = { routes: 7, epoch: 3, serversets: 9 };
    const why = (known: KnownEdge) => missingEdges([known], need, [])[0]?.why;
    assert.equal(why(edge({})), undefined);
    assert.equal(why(edge({ appliedRoutes: 8, appliedServersets: 90 })), undefined);
    assert.equal(why(edge({ appliedRoutes: 6 })), "runs with routes 6, not 7");
    assert.equal(why(edge({ epoch: 2 })), "acknowledges epoch 2, not 3");
    assert.equal(why(edge({ epoch: 4 })), "acknowledges epoch 4, not 3");
    assert.equal(why(edge({ appliedServersets: 8 })), "runs with members 8, not 9");
    assert.equal(why({ edge: "e1", status: null, problem: "is not JSON" }), "its status can't be read: is not JSON");
    assert.deepEqual(missingEdges([edge({ appliedRoutes: 0 })], need, ["e1"]), []);
  });

  it("a host has done its order only when its slot holds what was ordered, with its digest, and has not failed since", () => {
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

  it("every step leads to an end, and prepare stops before the switch", () => {
    for (const step of deploySteps) {
      let at: { step: (typeof deploySteps)[number]; goal: "promote" } = { step, goal: "promote" };
      for (let moves = 0; !isEnded(at); moves++) {
        assert.ok(moves < deploySteps.length);
        at = { ...at, step: nextStep(at) as (typeof deploySteps)[number] };
      }
    }
    assert.equal(nextStep({ step: "prepared", goal: "prepare" }), null);
  });

  it("each verb in each step: what may be done, and what is refused", () => {
    const allowed = Object.fromEntries(
      deploySteps.map((step) => {
        const verbs = (["deploy", "promote", "resume", "abort", "rollback", "converge"] as const).filter(
          (verb) => judgeVerb(verb, "web", running({ step })) === null,
        );
        return [step, verbs.join(" ")];
      }),
    );
    const underWay = "resume abort rollback";
    assert.deepEqual(allowed, {
      ...{ withdrawing: underWay, draining: underWay, installing: underWay, offering: underWay, waiting: underWay },
      ...{ prepared: "promote resume abort rollback", promoting: underWay, restoring: underWay },
      ...{ done: "deploy rollback converge", rolledBack: "deploy converge", aborted: "deploy converge" },
    });
  });

  it("the routes of each step: what is replaced leaves first, what is new joins last, and the default is always served", () => {
    const deploy = running({});
    const brief = (routes: ReturnType<typeof routesDuring>) => routes && [routes.default, routes.serving];
    assert.deepEqual(brief(routesDuring(deploy)), ["B", ["B"]]);
    assert.deepEqual(brief(routesOffered(deploy)), ["B", ["B", "C"]]);
    assert.deepEqual(brief(routesSwitched(deploy)), ["C", ["B", "C"]]);
    const first = running({ from: { default: null, serving: [], releases: {} }, withdrawn: [] });
    assert.deepEqual(
      [routesDuring(first), routesOffered(first), brief(routesSwitched(first))],
      [null, null, ["C", ["C"]]],
    );
    const before = routesSchema.parse({
      epoch: 1,
      revision: 4,
      mode: "atomic",
      default: "B",
      serving: ["A", "B"],
      digests: { A: SHA, X: SHA },
    });
    const next = nextRoutes(before, routesSwitched(deploy), 9);
    assert.deepEqual(routesSchema.parse(next), {
      epoch: 9,
      revision: 5,
      mode: "atomic",
      default: "C",
      serving: ["B", "C"],
      digests: { A: SHA, C: SHA },
    });
  });

  it("a plan withdraws what it replaces and what nobody holds, never the default nor the new version", () => {
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

  it("a host that holds the default in all of its slots makes a plan impossible, and is told how to make room", () => {
    const slots = { a: slotStatus("a", { version: "B" }), b: slotStatus("b", { version: "B" }) };
    const statuses = [hostStatus("web", "h7", { slots })];
    const routes = { default: "B", serving: ["B"] };
    const plan = { wave: { percent: 10 }, canaryStage: null };
    assert.throws(
      () => draftDeploy({ version: "C", routes, statuses, fleet: statuses, plan, now: Date.now() }),
      /h7 holds B, the default, in all of its slots \(a, b\).*slotctl drain a.*uninstall web B --slot a --host h7 --force --reason TEXT.*--exclude h7/,
    );
  });

  it("a deploy that goes on tries failed hosts again before anything is offered, and never after the switch may have begun", () => {
    const release = { version: "C", url: "file:///c.tgz", sha256: SHA, sizeBytes: 1 };
    const issued = { issuedBy: "t", issuedAt: "2026-01-01T00:00:00.000Z" };
    const order: InstallOrder = { id: "deploy-1:4:a:install", epoch: 4, action: "install", release, ...issued };
    const error = { code: "CRASH_LOOP", message: "all workers ended" };
    const host = (step: "done" | "failed") => ({
      step,
      slot: "a",
      wave: 0,
      was: "A",
      ...(step === "failed" && { error }),
    });
    const steps = (state: "serving" | "failed", deploy: Partial<RunningDeploy>) => {
      const done = { ...withOrder("a", order, "done"), state, version: "C", sha256: SHA, lastError: error };
      const status = hostStatus("web", "h1", { slots: { a: done } });
      const known = { statusOf: () => status, latest: () => order, now: Date.now() };
      const { step, hosts } = resumed(running(deploy), known, {});
      return [step, hosts.h1?.step];
    };
    for (const step of ["offering", "waiting", "prepared"] as const) {
      assert.deepEqual(steps("failed", { step, hosts: { h1: host("done") } }), ["installing", "waiting"]);
      assert.deepEqual(steps("failed", { step, hosts: { h1: host("failed") } }), ["installing", "waiting"]);
      assert.deepEqual(steps("serving", { step, hosts: { h1: host("done") } }), [step, "done"]);
    }
    assert.deepEqual(steps("failed", { step: "promoting", hosts: { h1: host("failed") } }), ["promoting", "failed"]);
    assert.deepEqual(steps("serving", { step: "promoting", hosts: { h1: host("failed") } }), ["promoting", "done"]);
  });

  it("a host lacks what is served and it does not hold, the default first", () => {
    const routes = { default: "B", serving: ["A", "B"] };
    const at = (a: string | null, b: string | null) => [
      { slot: "a", version: a },
      { slot: "b", version: b },
    ];
    assert.deepEqual(lacking(at("A", "B"), routes), []);
    assert.deepEqual(lacking(at(null, null), routes), [
      { slot: "a", version: "B" },
      { slot: "b", version: "A" },
    ]);
    assert.deepEqual(lacking(at("A", "X"), routes), [{ slot: "b", version: "B" }]);
    assert.deepEqual(lacking(at("X", null), routes), [
      { slot: "b", version: "B" },
      { slot: "a", version: "A" },
    ]);
  });

  it("the record of 5,000 hosts that all failed fits into a message, and can be read", () => {
    const error = { code: "NOT_READY", message: "x".repeat(512) };
    const names = Array.from({ length: 5000 }, (_, at) => `web-${String(at).padStart(5, "0")}.eu-central.example.com`);
    const hosts = Object.fromEntries(
      names.map((name) => [name, { step: "failed" as const, slot: "a", wave: 99, was: "1.4.1+build.77", error }]),
    );
    const record: Deploy = { service: "web", epoch: 1, lock: null, deploy: running({ hosts }), revisions: [] };
    const text = JSON.stringify(bounded(record));
    assert.ok(text.length < 1024 * 1024, `${text.length} bytes`);
    assert.equal(Object.keys(deploySchema.parse(JSON.parse(text)).deploy?.hosts ?? {}).length, 5000);
  });
});

function running(over: Partial<RunningDeploy>): RunningDeploy {
  const release = { version: "C", url: "file:///c.tgz", sha256: SHA, sizeBytes: 1 };
  const plan = {
    wave: { percent: 10 },
    maxFailures: 0,
    pauseMs: 0,
    canaryStage: null,
    only: [],
    exclude: [],
    excludeAbsent: false,
    withoutEdges: [],
  };
  const startedAt = "2026-01-01T00:00:00.000Z";
  return {
    ...{ id: "deploy-1", version: "C", release, step: "installing", goal: "promote", rollback: null },
    from: { default: "B", serving: ["A", "B"], releases: {} },
    ...{ withdrawn: ["A"], plan, by: "t", message: "", startedAt, endedAt: null, halted: null, hosts: {} },
    ...over,
  };
}
