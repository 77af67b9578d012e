import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { openBucket } from "../../../bus/buckets.ts";
import type { EdgeStatus } from "../../../protocol/routes.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { everywhere, Theatre } from "./stage.ts";

/** A deploy that waited for this bound would exceed the test's own. */
const BARRIER = ["--barrier-timeout", "3600000"];

describe("a barrier with an edge that refuses the routes", () => {
  const theatre = new Theatre();
  before(() => theatre.open());
  afterEach(() => theatre.clear());
  after(() => theatre.close());

  it("halts before its time is over, with the edge's own reason", async () => {
    const stage = await theatre.stage({ heartbeatMs: 500 });
    await stage.twoVersions();
    stage.fleet.edge("e2").problems = [{ code: "ROUTES_UNSUPPORTED", message: "haproxy can't split by shares" }];
    stage.fleet.setEdge("e2", "stuck");
    const { code, json } = await stage.run("deploy", "C", ...BARRIER);
    assert.deepEqual([code, json().error.code, json().step], [1, "EDGES_REFUSED", "draining"]);
    assert.match(json().error.message, /e2: ROUTES_UNSUPPORTED: haproxy can't split by shares/);
    assert.deepEqual(stage.versions(), everywhere(stage, "A", "B"));

    stage.fleet.edge("e2").problems = [];
    stage.fleet.setEdge("e2", "follows");
    const resumed = await stage.run("resume");
    assert.equal(resumed.code, 0, resumed.stderr);
  });

  // Later than any epoch that the controller believes: its own next one would be higher than what it believes.
  it("halts at once where the edge has applied routes of a later epoch", async () => {
    const stage = await theatre.stage({ heartbeatMs: 600_000 });
    await stage.twoVersions();
    const edges = await openBucket(theatre.bus, buckets.edges);
    const key = keys.edge(stage.service, "e2");
    const status = (await edges.get(key))?.json<EdgeStatus>();
    stage.fleet.setEdge("e2", "dead");
    await edges.put(key, JSON.stringify({ ...status, epoch: 2_000_000 }));
    const { code, json } = await stage.run("deploy", "C", ...BARRIER);
    assert.deepEqual([code, json().error.code, json().step], [1, "EDGES_REFUSED", "draining"]);
    assert.match(json().error.message, /e2: it has applied routes of the later epoch 2000000/);
  });
});
