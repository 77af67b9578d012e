import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { resumedDeploy } from "../../../../controller-stub/deploy/decisions/resumed-deploy.ts";
import type { RunningDeploy } from "../../../../protocol/deploy.ts";
import type { InstallOrder } from "../../../../protocol/order.ts";
import { hostStatus, withOrder } from "../../fake-host.ts";

import { running } from "../running-deploy.ts";

const SHA = "a".repeat(64);

describe("a resumed deploy", () => {
  it("tries failed hosts again before anything is offered, and never once the switch may have begun", () => {
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
      const known = { statusOf: () => status, latestOrder: () => order, now: Date.now() };
      const { step, hosts } = resumedDeploy(running(deploy), known, {});
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
});
