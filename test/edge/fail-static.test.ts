import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { EdgeStatus } from "../../protocol/routes.ts";
import { Edge } from "../support/edge.ts";
import { repository } from "../support/release.ts";
import { until } from "../support/until.ts";
import { ask, useEdgeFleet } from "./fleet.ts";

describe("an edge without its bus", () => {
  const fleet = useEdgeFleet();

  async function running() {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const [a, b] = [await fleet.backend("A", "h1"), await fleet.backend("B", "h2")];
    await members.member(a);
    const serversets = await members.member(b);
    const edge = await fleet.edge({ nats: nats.url });
    const routes = await members.routes({ epoch: 3, default: "B", serving: ["A", "B"] });
    await edge.untilAcknowledged({ routes, serversets });
    return { nats, members, edge, a, b, routes };
  }

  it("keeps its table, also through its own restarts, and reads what it missed when the bus is back", async () => {
    const { nats, members, edge } = await running();
    await nats.kill();
    const routed = async () => [(await ask(edge.url, "A")).version, (await ask(edge.url)).version];
    assert.deepEqual(await routed(), ["A", "B"]);
    for (const end of [() => edge.kill(), () => edge.stop()]) {
      await end();
      await edge.begin();
      await until("it routes by the table on disk", async () => (await ask(edge.url)).status === 200);
      assert.deepEqual(await routed(), ["A", "B"]);
    }
    await nats.restart();
    const routes = await members.routes({ epoch: 3, default: "A", serving: ["A"] });
    const status = await edge.untilAcknowledged({ routes });
    assert.deepEqual([status.serving, status.problems], [["A"], []]);
    assert.deepEqual(await routed(), ["A", "A"]);
  });

  it("starts from the file that version 0.1.0 wrote", async () => {
    const nats = await fleet.nats();
    await nats.kill();
    const [a, b] = [await fleet.backend("A", "h1"), await fleet.backend("B", "h2")];
    const written = JSON.parse(readFileSync(join(repository, "test/fixtures/0.1.0/last-good.json"), "utf8"));
    for (const [i, { address, port }] of [a, b].entries()) {
      const { text } = written.members[i];
      written.members[i].text = text.replace('"127.0.0.1"', `"${address}"`).replace(/"port":\d+/, `"port":${port}`);
    }
    const edge = await Edge.create({ nats: nats.url });
    fleet.onEnd(() => edge.close());
    mkdirSync(edge.state);
    writeFileSync(edge.stateFile, JSON.stringify(written));
    await edge.begin();
    await until("it routes", async () => (await ask(edge.url)).version === "B");
    assert.equal((await ask(edge.url, "A")).version, "A");
  });

  it("keeps routing by routes that an older edge used in part, reports them, and no longer acknowledges them", async () => {
    const { members, edge } = await running();
    await edge.stop();
    const text = JSON.stringify({ epoch: 3, revision: 1, mode: "rolling", default: "A", serving: ["A", "B"] });
    const revision = await members.rawRoutes(text);
    const kept = JSON.parse(readFileSync(edge.stateFile, "utf8"));
    writeFileSync(edge.stateFile, JSON.stringify({ ...kept, routes: { ...kept.routes, text, revision } }));
    await edge.begin();
    const status = await edge.untilStatus("a problem", ({ problems }) => problems[0]?.code === "ROUTES_UNSUPPORTED");
    assert.deepEqual([status.appliedRoutes, status.default], [0, "A"]);
    assert.deepEqual([(await ask(edge.url)).version, (await ask(edge.url, "B")).version], ["A", "B"]);
  });

  it("is killed and restarted in the middle of changes, and never acknowledges what it does not route by", async () => {
    const { members, edge, a } = await running();
    for (let i = 0; i < 4; i++) {
      const withdrawn = members.member(a, { status: i % 2 === 0 ? "STOPPING" : "ALIVE" });
      await edge.kill();
      await edge.begin();
      const status = await edge.untilAcknowledged({ serversets: await withdrawn });
      assert.equal(status.endpoints, i % 2 === 0 ? 1 : 2);
      assert.equal((await ask(edge.url, "A")).version, i % 2 === 0 ? "B" : "A");
    }
  });

  it("sets a corrupt file aside, reports it, and routes by what the bus holds", async () => {
    const { edge, routes } = await running();
    await edge.stop();
    writeFileSync(edge.stateFile, '{"format":1,"service":"web","mem');
    await edge.begin();
    const routed = (status: EdgeStatus) => status.problems[0]?.code === "EDGE_STATE" && status.appliedRoutes === routes;
    assert.equal((await edge.untilStatus("it was corrupt, and it routes", routed)).endpoints, 2);
    assert(readdirSync(edge.state).includes("last-good.json.corrupt"));
  });

  it("refuses routes of an older epoch than those on disk", async () => {
    const { nats, members, edge } = await running();
    await edge.stop();
    await members.routes({ epoch: 2, default: "A", serving: ["A"] });
    await edge.begin();
    const stale = ({ problems, epoch }: EdgeStatus) => problems[0]?.code === "ROUTES_STALE" && epoch === 3;
    assert.equal((await edge.untilStatus("stale routes, and the ones before", stale)).default, "B");
    assert(nats.pid > 0);
  });

  it("starts before there is a bus, and works when one comes up", async () => {
    const nats = await fleet.nats();
    await nats.kill();
    const edge = await fleet.edge({ nats: nats.url });
    assert.equal((await ask(edge.url)).status, 503);
    await nats.restart();
    const members = await fleet.members(nats.url);
    await members.member(await fleet.backend("A", "h1"));
    const routes = await members.routes({ default: "A", serving: ["A"] });
    await edge.untilAcknowledged({ routes });
    await until("it routes", async () => (await ask(edge.url)).version === "A");
  });
});
