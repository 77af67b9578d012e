import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ask, useEdgeFleet } from "./fleet.ts";

describe("slotd-edge", () => {
  const fleet = useEdgeFleet();

  it("routes to the version that a request names, else to the default, and acknowledges what it routes by", async () => {
    const nats = await fleet.nats();
    const edge = await fleet.edge({ nats: nats.url });
    const none = await ask(edge.url);
    assert.deepEqual([none.status, none.headers.get("retry-after")], [503, "1"], "before there are routes");

    const members = await fleet.members(nats.url);
    const [a, b] = [await fleet.backend("A", "h1"), await fleet.backend("B", "h2")];
    await members.member(a);
    const serversets = await members.member(b);
    const routes = await members.routes({ default: "B", serving: ["A", "B"] });
    const status = await edge.untilAcknowledged({ routes, serversets });
    assert.deepEqual(
      [status.serving, status.default, status.endpoints, status.epoch, status.heldBack, status.problems],
      [["A", "B"], "B", 2, 1, 0, []],
    );
    assert.deepEqual(
      [(await ask(edge.url, "A")).version, (await ask(edge.url)).version, (await ask(edge.url, "Z")).version],
      ["A", "B", "B"],
    );
  });

  it("acknowledges a withdrawal once no request goes to that endpoint any more", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const [one, two] = [await fleet.backend("A", "h1"), await fleet.backend("A", "h2")];
    await members.member(one);
    const first = await members.member(two);
    const routes = await members.routes({ default: "A", serving: ["A"] });
    const edge = await fleet.edge({ nats: nats.url });
    await edge.untilAcknowledged({ routes, serversets: first });

    const began = performance.now();
    const withdrawn = await members.member(one, { status: "STOPPING" });
    const status = await edge.untilAcknowledged({ serversets: withdrawn });
    assert(performance.now() - began < 3_000, "it does not wait for a heartbeat");
    const before = one.requests;
    for (let i = 0; i < 20; i++) assert.equal((await ask(edge.url)).status, 200);
    assert.equal(one.requests, before);
    const deleted = await members.remove(members.key("h1"));
    const after = await edge.untilAcknowledged({ serversets: deleted });
    assert.deepEqual([status.endpoints, after.endpoints, after.heldBack], [1, 1, 0]);
  });

  it("acknowledges a change that concerns no served version", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const a = await fleet.backend("A", "h1");
    await members.member(a);
    const edge = await fleet.edge({ nats: nats.url });
    await edge.untilAcknowledged({ routes: await members.routes({ default: "A", serving: ["A"] }) });
    const began = performance.now();
    const other = await members.member(await fleet.backend("C", "h2"));
    await edge.untilAcknowledged({ serversets: other });
    assert(performance.now() - began < 3_000);
  });

  it("acknowledges a mere heartbeat of a member with its own next heartbeat, without asking the proxy", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const a = await fleet.backend("A", "h1");
    await members.member(a);
    const edge = await fleet.edge({ nats: nats.url });
    await edge.untilAcknowledged({ routes: await members.routes({ default: "A", serving: ["A"] }) });
    await edge.untilStatus("its endpoint", ({ endpoints }) => endpoints === 1);
    const applied = () => edge.log().match(/"msg":"table applied"/g)?.length;
    const before = applied();
    const repeated = await members.member(a);
    assert.equal((await edge.untilAcknowledged({ serversets: repeated })).endpoints, 1);
    assert.equal(applied(), before);
  });

  it("ignores a malformed member, reports it, and keeps the last good value of its key", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const [one, two] = [await fleet.backend("A", "h1"), await fleet.backend("A", "h2")];
    await members.member(one);
    await members.member(two);
    const edge = await fleet.edge({ nats: nats.url });
    await edge.untilAcknowledged({ routes: await members.routes({ default: "A", serving: ["A"] }) });

    await members.put(members.key("h1"), '{"serviceEndpoint":{"host":"x; }","port":0}}');
    await members.put(members.key("h3"), "\u0000 not JSON");
    const broken = await edge.untilStatus("two problems", ({ problems }) => problems.length === 2);
    assert.deepEqual(
      broken.problems.map(({ code, key }) => [code, key]),
      [
        ["MEMBER_MALFORMED", members.key("h1")],
        ["MEMBER_MALFORMED", members.key("h3")],
      ],
    );
    assert.equal(broken.endpoints, 2);
    await members.member(one);
    await members.remove(members.key("h3"));
    await edge.untilStatus("no problem", ({ problems, endpoints }) => problems.length === 0 && endpoints === 2);
  });

  it("sends nothing to a host whose release is not the one that the routes mean", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    const [good, liar] = [await fleet.backend("A", "h1"), await fleet.backend("A", "h2")];
    await members.member(good);
    await members.member(liar, { sha256: "b".repeat(64) });
    const edge = await fleet.edge({ nats: nats.url });
    const digests = { A: "a".repeat(64) };
    await edge.untilAcknowledged({ routes: await members.routes({ default: "A", serving: ["A"], digests }) });
    const status = await edge.untilStatus("one endpoint", ({ endpoints }) => endpoints === 1);
    assert.deepEqual(
      status.problems.map(({ code, key }) => [code, key]),
      [["MEMBER_DIGEST", members.key("h2")]],
    );
    for (let i = 0; i < 10; i++) await ask(edge.url);
    assert.equal(liar.requests, 0);
  });

  it("keeps its routes if new ones are malformed, have an older epoch, or are deleted", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    await members.member(await fleet.backend("A", "h1"));
    await members.member(await fleet.backend("B", "h2"));
    const edge = await fleet.edge({ nats: nats.url });
    const good = await members.routes({ epoch: 7, default: "A", serving: ["A"] });
    await edge.untilAcknowledged({ routes: good });

    await members.routes({ epoch: 6, default: "B", serving: ["B"] });
    const stale = await edge.untilStatus("a problem", ({ problems }) => problems[0]?.code === "ROUTES_STALE");
    await members.rawRoutes('{"epoch":8,"default":"B","serving":[]}');
    const broken = await edge.untilStatus("another", ({ problems }) => problems[0]?.code === "ROUTES_MALFORMED");
    for (const { appliedRoutes, epoch, default: byDefault } of [stale, broken])
      assert.deepEqual([appliedRoutes, epoch, byDefault], [good, 7, "A"]);
    assert.equal((await ask(edge.url, "B")).version, "A");
    const next = await members.routes({ epoch: 8, default: "B", serving: ["A", "B"] });
    assert.deepEqual((await edge.untilAcknowledged({ routes: next })).problems, []);
  });

  it("refuses routes that it does not implement: it never acknowledges them, and keeps routing by the last good ones", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    await members.member(await fleet.backend("A", "h1"));
    await members.member(await fleet.backend("B", "h2"));
    const edge = await fleet.edge({ nats: nats.url });
    const good = await members.routes({ epoch: 7, default: "A", serving: ["A"] });
    await edge.untilAcknowledged({ routes: good });

    for (const [field, asked] of [
      ["mode", { mode: "rolling" }],
      ["stages", { stages: { prod: 99.5, canary: 0.5 } }],
    ] as const) {
      await members.routes({ epoch: 8, default: "B", serving: ["A", "B"], ...asked });
      const status = await edge.untilStatus(
        `a problem with ${field}`,
        ({ problems }) => problems[0]?.code === "ROUTES_UNSUPPORTED" && problems[0].field === field,
      );
      assert.deepEqual([status.appliedRoutes, status.epoch, status.default], [good, 7, "A"]);
      assert.equal((await ask(edge.url, "B")).version, "A");
    }
    await edge.stop();
    await edge.begin();
    const again = await edge.untilStatus("the same after a restart", ({ problems }) => problems.length === 1);
    assert.deepEqual([again.appliedRoutes, again.problems[0]?.code], [good, "ROUTES_UNSUPPORTED"]);
    const next = await members.routes({ epoch: 8, default: "B", serving: ["A", "B"] });
    assert.deepEqual((await edge.untilAcknowledged({ routes: next })).problems, []);
  });

  it("acknowledges a version that no member serves, and answers with the default", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    await members.member(await fleet.backend("A", "h1"));
    const edge = await fleet.edge({ nats: nats.url });
    const routes = await members.routes({ default: "A", serving: ["A", "unpublished"] });
    const status = await edge.untilAcknowledged({ routes });
    assert.deepEqual([status.serving, status.endpoints], [["A", "unpublished"], 1]);
    assert.equal((await ask(edge.url, "unpublished")).version, "A");
  });

  it("answers 503 if no member serves the default, or with the fallback if one is configured", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    await members.member(await fleet.backend("A", "h1"));
    const b = await fleet.backend("B", "h2");
    await members.member(b);
    const routes = await members.routes({ default: "B", serving: ["A", "B"] });
    const strict = await fleet.edge({ nats: nats.url });
    const lenient = await fleet.edge({ nats: nats.url, settings: { fallback: "previous" } });
    for (const edge of [strict, lenient]) await edge.untilAcknowledged({ routes });
    const serversets = await members.member(b, { status: "STOPPING" });
    for (const edge of [strict, lenient])
      assert.equal((await edge.untilAcknowledged({ routes, serversets })).appliedRoutes, routes, "they stay in force");
    const refused = await ask(strict.url);
    assert.equal(refused.status, 503);
    assert.match(refused.text, /"reason"/);
    assert.equal((await ask(strict.url, "A")).version, "A");
    assert.equal((await ask(lenient.url)).version, "A");
  });

  it("does not switch to a default that it has no endpoint of, says why, and switches as soon as it has one", async () => {
    const nats = await fleet.nats();
    const members = await fleet.members(nats.url);
    await members.member(await fleet.backend("A", "h1"));
    const edge = await fleet.edge({ nats: nats.url });
    const good = await members.routes({ default: "A", serving: ["A"] });
    await edge.untilAcknowledged({ routes: good });
    const b = await fleet.backend("B", "h2");
    // A host that publishes its name, where an edge needs an address.
    await members.member(b, { address: { host: "web-2.internal", port: b.port } });
    const routes = await members.routes({ default: "B", serving: ["A", "B"] });
    const refused = await edge.untilStatus("it refuses", ({ problems }) => problems[0]?.code === "ROUTES_UNSERVED");
    assert.deepEqual([refused.appliedRoutes, refused.default, (await ask(edge.url)).version], [good, "A", "A"]);
    assert.match(refused.problems[0]?.message ?? "", /ignores 1 member web\.prod\.h2\.a: serviceEndpoint\.host: /);
    await members.member(b);
    assert.deepEqual((await edge.untilAcknowledged({ routes })).problems, []);
    assert.equal((await ask(edge.url)).version, "B");
  });
});
