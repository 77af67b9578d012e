import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { openBucket } from "../../bus/buckets.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { Theatre } from "../controller-stub/deploy/stage.ts";
import { Edge } from "../support/edge.ts";

const theatre = new Theatre();
const edges: Edge[] = [];

describe("a deploy while the routes ask for more than an edge implements", () => {
  before(() => theatre.open());
  afterEach(async () => {
    for (const edge of edges.splice(0)) await edge.close();
    await theatre.clear();
  });
  after(() => theatre.close());

  it("halts at the barrier long before its timeout, and names the edge, the code and what to do", async () => {
    const stage = await theatre.stage();
    await stage.twoVersions();
    const edge = await Edge.start({ nats: stage.url, service: stage.service, name: "real" });
    edges.push(edge);
    const routes = await openBucket(stage.bus, buckets.routes);
    const before = await stage.routes();
    const rolling = await routes.put(keys.routes(stage.service), JSON.stringify({ ...before, mode: "rolling" }));
    const refused = await edge.untilStatus("the routes are refused", ({ problems }) => problems.length > 0, 60_000);
    assert(refused.appliedRoutes < rolling, "it does not acknowledge them");

    const { code, json } = await stage.run("deploy", "C");
    assert.deepEqual([code, json().error.code, json().step], [1, "EDGES_REFUSED", "draining"]);
    assert.match(
      json().error.message,
      /real: ROUTES_UNSUPPORTED: [^;]+ not implement mode "rolling", only mode "atomic"/,
    );
    assert.match(json().error.message, /upgrade slotd-edge, or write routes that it implements/);
    assert.deepEqual(
      json().error.missing.map((missing: { edge: string }) => missing.edge),
      ["real"],
    );
  });
});
