import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EdgeStatus } from "../../protocol/routes.ts";
import { Haproxy } from "../support/proxies/haproxy.ts";
import { ask, useEdgeFleet } from "./fleet.ts";

/** A host that writes what it likes under its own keys. */
describe("a host that claims too much", () => {
  const fleet = useEdgeFleet();
  const refused = ({ problems }: EdgeStatus) => problems.filter(({ code }) => code === "MEMBER_REFUSED");

  /** Two honest hosts, and an edge with HAProxy, whose places have room for 64 endpoints. */
  async function running() {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const server = await Haproxy.start();
    fleet.onEnd(() => server.stop());
    const honest = [await fleet.backend("A", "h1"), await fleet.backend("A", "h2")];
    for (const backend of honest) await members.member(backend);
    const proxy = Object.fromEntries(Object.entries(server.config).filter(([, value]) => value !== undefined));
    const edge = await fleet.edge({ nats: nats.url, proxy: { ...proxy, kind: "haproxy" }, url: server.url });
    await edge.untilAcknowledged({ routes: await members.routes({ default: "A", serving: ["A"] }) });
    await edge.untilStatus("both", ({ endpoints }) => endpoints === 2);
    return { members, honest, edge, rogue: await fleet.backend("A", "rogue") };
  }

  it("gets no request by a capacity above the edge's, and the others are served", async () => {
    const { members, edge, honest, rogue } = await running();
    const serversets = await members.member(rogue, { capacity: 999_999 });
    const status = await edge.untilAcknowledged({ serversets });
    assert.deepEqual(
      [status.endpoints, refused(status).map(({ key }) => key)],
      [2, [members.key("rogue")]],
      status.problems[0]?.message,
    );
    for (let i = 0; i < 200; i++) assert.equal((await ask(edge.url)).status, 200);
    assert.deepEqual([rogue.requests, honest.every(({ requests }) => requests > 80)], [0, true]);
    const modest = await members.member(rogue, { capacity: 2 });
    assert.deepEqual((await edge.untilAcknowledged({ serversets: modest })).problems, []);
  });

  it("has at most eight of its slots used, and blocks no acknowledgement with seventy", async () => {
    const { members, edge, honest, rogue } = await running();
    let serversets = 0;
    for (let i = 0; i < 70; i++) serversets = await members.member(rogue, { slot: `s${i}`, capacity: 1 });
    const status = await edge.untilAcknowledged({ serversets });
    assert.deepEqual([status.endpoints, refused(status).length > 0], [10, true]);
    const routes = await members.routes({ epoch: 2, default: "A", serving: ["A"] });
    await edge.untilAcknowledged({ routes });
    const before = honest.map(({ requests }) => requests);
    for (let i = 0; i < 40; i++) assert.equal((await ask(edge.url)).status, 200);
    assert(honest.every(({ requests }, i) => requests > (before[i] ?? 0)));
  });

  it("is not reached at loopback, link-local or multicast addresses, and its invented names are ignored", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const rogue = await fleet.backend("A", "rogue");
    // This edge has the default: loopback only from its own host, whose name it has.
    const edge = await fleet.edge({ nats: nats.url, name: "h1", settings: { networks: undefined } });
    const own = await fleet.backend("A", "h1");
    await members.member(own);
    await edge.untilAcknowledged({ routes: await members.routes({ default: "A", serving: ["A"] }) });
    for (const [i, host] of [rogue.address, "169.254.169.254", "224.0.0.9", "0.0.0.1"].entries())
      await members.member(rogue, { slot: `s${i}`, address: { host, port: rogue.port } });
    // Its own key, and somebody else's name in the value.
    await members.member(rogue, { slot: "x" });
    const text = JSON.stringify({
      serviceEndpoint: { host: "192.0.2.9", port: 80 },
      ...{ additionalEndpoints: {}, status: "ALIVE" },
      metadata: { service: "web", stage: "prod", host: "h1", slot: "a", version: "A", capacity: "1" },
    });
    await members.put(members.key("rogue", "y"), text);
    const status = await edge.untilStatus("six are ignored", ({ problems }) => problems.length === 6);
    assert.deepEqual(
      [status.endpoints, refused(status).length, status.problems.map(({ code }) => code)[0]],
      [1, 5, "MEMBER_MALFORMED"],
    );
    for (let i = 0; i < 20; i++) assert.equal((await ask(edge.url)).status, 200);
    assert.deepEqual([rogue.requests, own.requests], [0, 20]);
  });
});
