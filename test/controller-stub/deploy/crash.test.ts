import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Stage, Theatre, VERSIONS } from "./stage.ts";

const theatre = new Theatre();
describe("a deploy whose controller is killed", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  /** The version after the default one; A, B, C, D and from the beginning. */
  async function next(stage: Stage): Promise<string> {
    const served = await stage.served();
    return VERSIONS[(VERSIONS.indexOf(served?.[0] ?? "D") + 1) % VERSIONS.length] as string;
  }

  async function assertDeployed(stage: Stage, version: string): Promise<void> {
    const { lock, deploy } = await stage.record();
    assert.deepEqual([lock, deploy?.step, deploy?.version, deploy?.halted], [null, "done", version, null]);
    assert.equal((await stage.served())?.[0], version);
    for (const [host, versions] of Object.entries(stage.versions())) {
      assert.ok(versions.includes(version), `${host} has ${versions}`);
      assert.ok(versions.includes(deploy?.from.default ?? null), `${host} has ${versions}`);
    }
    assert.deepEqual(stage.fleet.violations, []);
  }

  it("resume completes a deploy whose controller was killed as a step began, whichever step it was", async () => {
    const stage = await theatre.stage({ behaviour: { installMs: 20 } });
    await stage.twoVersions();
    for (const step of ["withdrawing", "draining", "installing", "offering", "waiting", "prepared", "promoting"]) {
      const version = await next(stage);
      const running = stage.launch("deploy", version, "--wave", "1", "--lease", "300");
      await running.line(new RegExp(`"kind":"step","step":"${step}"`));
      running.child.kill("SIGKILL");
      await running.ended;
      const resumed = await stage.run("resume");
      assert.equal(resumed.code, 0, `${step}: ${resumed.stderr}`);
      await assertDeployed(stage, version);
    }
  });

  it("resume completes a deploy whose controller was killed at any moment, also while it resumed", async () => {
    const stage = await theatre.stage({ behaviour: { installMs: 30 } });
    await stage.twoVersions();
    for (let round = 0; round < 4; round++) {
      const version = await next(stage);
      let running = stage.launch("deploy", version, "--wave", "1", "--lease", "300");
      await running.line(/"kind":"step"/);
      for (let kill = 0; kill < 2; kill++) {
        // Any moment of the deploy will do, and that is the point.
        await sleep(Math.random() * 250);
        running.child.kill("SIGKILL");
        await running.ended;
        running = stage.launch("resume", "--lease", "300");
        await Promise.race([running.line(/"kind":"step"/).catch(() => {}), running.ended]);
      }
      const { code, stderr } = await running.ended;
      const done = (await stage.step()) === "done";
      assert.ok(code === 0 || (done && /NO_DEPLOY/.test(stderr)), stderr);
      await assertDeployed(stage, version);
    }
  });

  it("a deploy whose controller was killed in mid-wave can be rolled back from elsewhere", async () => {
    const stage = await theatre.stage({ behaviour: { installMs: 50 } });
    await stage.twoVersions();
    const running = stage.launch("deploy", "C", "--wave", "1", "--lease", "300");
    await running.line(/"kind":"wave","wave":2/);
    running.child.kill("SIGKILL");
    await running.ended;
    assert.equal((await stage.run("deploy", "D")).json().error.code, "HELD_BY");
    const back = await stage.run("rollback");
    assert.equal(back.code, 0, back.stderr);
    assert.deepEqual(await stage.served(), ["B", ["A", "B"]]);
    for (const versions of Object.values(stage.versions())) assert.deepEqual(versions, ["A", "B"]);
    assert.deepEqual(stage.fleet.violations, []);
  });
});
