import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { NatsCluster } from "../support/nats/cluster.ts";
import { PATIENCE_MS } from "../support/until.ts";
import { ask, useEdgeFleet } from "./fleet.ts";

describe("an edge on a bus of three nodes", () => {
  const fleet = useEdgeFleet();
  let cluster: NatsCluster;
  before(async () => {
    cluster = await NatsCluster.start();
  });
  after(() => cluster?.stop());

  it("keeps working when the leader of the serverset is killed, and when it returns", {
    timeout: 3 * PATIENCE_MS,
  }, async () => {
    const members = await fleet.members(cluster.servers, { replicas: 3 });
    const [a, b] = [await fleet.backend("A", "h1"), await fleet.backend("A", "h2")];
    await members.member(a);
    const first = await members.member(b);
    const routes = await members.routes({ default: "A", serving: ["A"] });
    const edge = await fleet.edge({
      nats: cluster.servers,
      settings: { nats: { servers: cluster.servers, replicas: 3 } },
    });
    await edge.untilAcknowledged({ routes, serversets: first });

    const leader = await cluster.leaderOf("serversets");
    await cluster.kill(leader);
    assert.equal((await ask(edge.url)).status, 200);
    const withdrawn = await members.member(a, { status: "STOPPING" });
    const without = await edge.untilAcknowledged({ serversets: withdrawn });
    assert.deepEqual([without.endpoints, without.heldBack], [1, 0]);

    cluster.startNode(leader);
    const back = await members.member(a);
    const next = await members.routes({ epoch: 2, default: "A", serving: ["A", "B"] });
    const whole = await edge.untilAcknowledged({ serversets: back, routes: next });
    assert.deepEqual([whole.endpoints, whole.heldBack, whole.epoch], [2, 0, 2]);
    assert.equal((await ask(edge.url)).status, 200);
  });

  it("keeps every endpoint while the bus has no majority, for longer than a lease", { timeout: 180_000 }, async () => {
    const service = "shop";
    const members = await fleet.members(cluster.servers, { replicas: 3, service });
    for (const host of ["h1", "h2", "h3"]) await members.member(await fleet.backend("A", host));
    const edge = await fleet.edge({ nats: cluster.servers, service, settings: { max_loss: 1 } });
    const routes = await members.routes({ default: "A", serving: ["A"] });
    await edge.untilAcknowledged({ routes });

    const [one, two] = ["n1", "n2"];
    await Promise.all([cluster.kill(one), cluster.kill(two)]);
    // No write gets through, so no heartbeat does: a lease and a half later, every endpoint must still be there.
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    for (let i = 0; i < 5; i++) assert.equal((await ask(edge.url)).status, 200);
    assert.equal(edge.log().match(/"msg":"table applied"/g)?.length, 1, "no other table was made meanwhile");
    assert.doesNotMatch(edge.log(), /held back/, "no lease lapsed");

    for (const name of [one, two]) cluster.startNode(name);
    const changed = await members.routes({ epoch: 2, default: "A", serving: ["A"] });
    const status = await edge.untilAcknowledged({ routes: changed });
    assert.deepEqual([status.endpoints, status.heldBack], [3, 0]);
  });
});
