import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PATIENCE_MS } from "../../support/until.ts";
import { ask, useEdgeFleet } from "../fleet.ts";

describe("an edge whose endpoints vanish", () => {
  const fleet = useEdgeFleet();

  async function four() {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const backends = await Promise.all(["h1", "h2", "h3", "h4"].map((host) => fleet.backend("A", host)));
    for (const backend of backends) await members.member(backend);
    const edge = await fleet.edge({ nats: nats.url });
    await edge.untilAcknowledged({ routes: await members.routes({ default: "A", serving: ["A"] }) });
    await edge.untilStatus("4 endpoints", ({ endpoints }) => endpoints === 4);
    return { nats, members, backends, edge };
  }

  it("drops a few, and keeps many that vanish at once until an operator accepts the loss", async () => {
    const { members, backends, edge } = await four();
    await members.remove(members.key("h1"));
    const one = await edge.untilStatus("3 endpoints", ({ endpoints }) => endpoints === 3);
    assert.equal(one.heldBack, 0);
    await Promise.all(["h2", "h3", "h4"].map((host) => members.remove(members.key(host))));
    const held = await edge.untilStatus("something is held back", ({ heldBack }) => heldBack > 0);
    assert.equal(held.problems[0]?.code, "ENDPOINTS_HELD_BACK");
    assert((await ask(edge.url)).status === 200);
    // h2 withdraws on purpose: that is believed.
    await members.member(backends[1] as (typeof backends)[number], { status: "STOPPING" });
    await edge.untilStatus(
      "one less is held back",
      ({ heldBack }) => heldBack === held.heldBack - 1 || held.heldBack < 3,
    );
    edge.signal("SIGUSR1");
    const accepted = await edge.untilStatus("nothing is held back", ({ heldBack }) => heldBack === 0);
    assert.deepEqual(accepted.problems, []);
  });

  it("is not emptied by the loss of a bucket, and holds nothing back once the members return", async () => {
    const { members, backends, edge } = await four();
    for (const host of ["h1", "h2", "h3", "h4"]) members.forsake(members.key(host));
    await members.destroyBucket("serversets");
    const held = await edge.untilStatus("all are held back", ({ heldBack }) => heldBack === 4);
    assert.equal(held.endpoints, 4);
    assert.equal((await ask(edge.url)).status, 200);
    let serversets = 0;
    for (const backend of backends) serversets = await members.member(backend);
    const back = await edge.untilStatus("nothing is held back", ({ heldBack }) => heldBack === 0);
    assert.deepEqual([back.endpoints, back.problems], [4, []]);
    await edge.untilAcknowledged({ serversets });
  });

  it("sends nothing to a host that was silent for a lease", { timeout: 3 * PATIENCE_MS }, async () => {
    const { members, backends, edge } = await four();
    members.forsake(members.key("h1"));
    const status = await edge.untilStatus("3 endpoints", ({ endpoints }) => endpoints === 3);
    assert.equal(status.heldBack, 0);
    await backends[0]?.stop();
    for (let i = 0; i < 10; i++) assert.equal((await ask(edge.url)).status, 200);
  });
});
