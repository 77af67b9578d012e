import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { openBucket } from "../../../bus/buckets.ts";
import { buckets } from "../../../protocol/subjects.ts";
import { everywhere, type Stage, Theatre } from "./stage.ts";

const theatre = new Theatre();

/** Everything that controllers wrote is gone, as after the loss of the bus's store; hosts and edges report again. */
async function loseData(stage: Stage): Promise<void> {
  const { service } = stage;
  const orders = [...stage.fleet.hosts.keys()].flatMap((host) =>
    ["a", "b"].map((slot) => `${service}.${host}.${slot}`),
  );
  for (const [bucket, keys] of [
    [buckets.routes, [service]],
    [buckets.deploys, [service]],
    [buckets.orders, orders],
  ] as const) {
    const kv = await openBucket(theatre.bus, bucket);
    for (const key of keys) await kv.purge(key);
  }
}

/** B is the default, beside A; the edges keep their tables, and the routes are gone. */
async function lostStage(edges: string[] = ["e1", "e2"]): Promise<Stage> {
  const stage = await theatre.stage({ edges });
  await stage.twoVersions();
  for (const edge of edges) stage.fleet.setEdge(edge, "stuck");
  await loseData(stage);
  return stage;
}

describe("routes that the bus has lost", () => {
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  it("status and edges say so, and what to do", async () => {
    const stage = await lostStage();
    for (const verb of ["status", "edges"]) {
      const said = await stage.run(verb);
      assert.deepEqual(said.json().lostRoutes.live, ["B"], verb);
      assert.deepEqual(said.json().lostRoutes.serving, ["A", "B"]);
    }
    assert.match((await stage.run("edges")).stderr, /routes of web\d+ are gone .*e1 reports default B, serving A B/);
  });

  it("deploy stops, also as a dry run and without an edge, and changes nothing", async () => {
    for (const edges of [["e1", "e2"], []]) {
      const stage = await lostStage(edges);
      const before = stage.versions();
      for (const more of [["--dry-run"], []]) {
        const said = await stage.run("deploy", "C", ...more);
        assert.equal(said.code, 1);
        assert.equal(said.json().error.code, "ROUTES_LOST", said.stderr);
        assert.match(said.stderr, /this is no first deploy: .*`deploy web\d+ B` restores.*C --live B/);
      }
      assert.deepEqual(stage.versions(), before);
      assert.equal(await stage.routes(), null);
    }
  });

  it("the deploy of the live version restores the routes, and replaces nothing", async () => {
    const stage = await lostStage();
    for (const edge of ["e1", "e2"]) stage.fleet.setEdge(edge, "follows");
    const before = stage.versions();
    const { code, stderr } = await stage.run("deploy", "B");
    assert.equal(code, 0, stderr);
    assert.deepEqual(stage.versions(), before);
    assert.equal((await stage.served())?.[0], "B");
    assert.equal((await stage.run("deploy", "C")).code, 0);
    assert.deepEqual(stage.fleet.violations, []);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
  });

  it("versions that edges still serve stay in the routes when the live one is deployed", async () => {
    const stage = await lostStage();
    const planned = await stage.run("deploy", "B", "--dry-run");
    assert.deepEqual(planned.json().steps.at(-1).routes, { default: "B", serving: ["A", "B"] });
  });

  it("--live names the default, which is kept while another version is deployed", async () => {
    const stage = await lostStage();
    const planned = await stage.run("deploy", "C", "--live", "B", "--dry-run");
    assert.equal(planned.code, 0, planned.stderr);
    assert.equal(planned.json().from.default, "B");
    for (const edge of ["e1", "e2"]) stage.fleet.setEdge(edge, "follows");
    const { code, stderr } = await stage.run("deploy", "C", "--live", "B");
    assert.equal(code, 0, stderr);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
    assert.deepEqual(await stage.served(), ["C", ["B", "C"]]);
    assert.deepEqual(stage.fleet.violations, []);
  });

  it("--live is refused for a version that no host holds, and where the routes are there", async () => {
    const lost = await lostStage();
    assert.match((await lost.run("deploy", "C", "--live", "D")).stderr, /--live must be a version that a host holds/);
    const whole = await theatre.stage();
    await whole.twoVersions();
    assert.match((await whole.run("deploy", "C", "--live", "B")).stderr, /--live is for a service that has lost/);
  });

  it("a first deploy beside versions that were installed one by one keeps each host's current one", async () => {
    const stage = await theatre.stage();
    for (const [version, slot] of [
      ["A", "a"],
      ["B", "b"],
    ] as const) {
      const said = await stage.run("install", version, "--slot", slot, "--all-hosts", "--wait");
      assert.equal(said.code, 0, said.stderr);
    }
    assert.equal((await stage.run("deploy", "C")).code, 0);
    assert.deepEqual(stage.versions(), everywhere(stage, "C", "B"));
  });
});
