import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, logged, putOrder, standing } from "../support/agent/orders.ts";
import { until } from "../support/until.ts";
import { entryOf, purge, putRoutes, report } from "./support/edge-status.ts";

describe("a version that is in use", () => {
  const hosts = useHosts();

  /** A host that serves 1 in slot a; 2 is there to be installed. */
  const serving = async (settings: Record<string, unknown> = {}) => {
    const host = await hosts.start(settings);
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    hosts.onEnd(async () => {
      await purge(host, buckets.routes, keys.routes("web"));
      await purge(host, buckets.edges, keys.edge("web", "e1"));
    });
    return { host, one, two };
  };
  const untilRefused = async (host: Host, id: string) => {
    const { refused } = await host.untilSlot("a", `${id} is refused`, (slot) => slot.refused?.orderId === id);
    assert.deepEqual([refused?.code, refused?.field], ["VERSION_IN_USE", "version"]);
    return refused?.message ?? "";
  };

  it("is neither uninstalled nor replaced while it is the default, and nothing changes", async () => {
    const { host, two } = await serving();
    const before = await standing(host, "a");
    await putRoutes(host, { default: "1", serving: ["1"] });
    const said = /^1 is in use by the routes, as the default; stop routing to it first, or force with a reason$/;
    assert.match(await untilRefused(host, await host.uninstall("a", "1")), said);
    assert.match(await untilRefused(host, await host.install("a", two)), said);
    assert.deepEqual(await standing(host, "a"), before);
    assert.equal((await host.slot("a")).order?.outcome, "done", "the order before still counts");
    const codes = (await host.events()).filter(({ code }) => code === "VERSION_IN_USE");
    assert.equal(codes.length, 2);
  });

  it("is refused while it is served beside the default, and goes once it is not", async () => {
    const { host, two } = await serving();
    await putRoutes(host, { default: "9", serving: ["9", "1"] });
    assert.match(await untilRefused(host, await host.install("a", two)), /in use by the routes;/);
    await putRoutes(host, { default: "9", serving: ["9"], revision: 2 });
    await host.installed("a", two);
    assert.equal((await host.get("a")).version, "2");
  });

  it("is refused while a live edge still routes to it, whatever the routes say", async () => {
    const { host, two } = await serving();
    await putRoutes(host, { default: "9", serving: ["9"] });
    await report(host, "e1", { serving: ["9", "1"], default: "9", appliedServersets: 10 ** 9 });
    assert.match(await untilRefused(host, await host.install("a", two)), /in use by edge e1;/);
    await report(host, "e1", { serving: ["9"], default: "9", appliedServersets: 10 ** 9 });
    await host.installed("a", two);
  });

  it("goes when the edge that routed to it has died", async () => {
    const { host } = await serving();
    await report(host, "e1", { serving: ["1"], default: "1", leaseMs: 3_000, appliedServersets: 10 ** 9 });
    await untilRefused(host, await host.uninstall("a", "1"));
    await until("an order is taken", async () => {
      const id = await host.uninstall("a", "1");
      const { order, refused } = await host.untilSlot("a", "is answered", (slot) =>
        [slot.refused?.orderId, slot.order?.id].includes(id),
      );
      return order?.id === id && refused === null;
    });
    await host.untilState("a", "empty");
  });

  it("is taken away all the same by an order that is forced with a reason, without waiting for requests", async () => {
    const { host, one, two } = await serving({
      app: { stop_grace_ms: 200 },
      drain: { pause_ms: 30_000, edges_timeout_ms: 30_000, timeout_ms: 60_000 },
    });
    await putRoutes(host, { default: "1", serving: ["1"] });
    await report(host, "e1", { serving: ["1"], default: "1" });
    const cut = assert.rejects(host.get("a", "/slow?ms=60000"));
    await host.untilSlot("a", "has a request", ({ connections }) => connections?.inFlight === 1);
    const replaced = await host.installed("a", two, { force: true, reason: "it leaks keys" });
    await cut;
    assert.equal(replaced.version, "2");
    const { edges, idle, cutRequests, reason, version } = replaced.lastDrain ?? {};
    assert.deepEqual([version, edges, idle, cutRequests, reason], ["1", "forced", "forced", 1, "it leaks keys"]);
    const event = (await host.events()).find(({ kind, facts }) => kind === "drain" && facts?.edges === "forced");
    assert.equal(event?.facts?.reason, "it leaks keys");

    await putRoutes(host, { default: "2", serving: ["2"], revision: 2 });
    await untilRefused(host, await host.install("a", one));
    const forced = await host.untilOrder("a", await host.uninstall("a", "2", { force: true, reason: "so it is" }));
    assert.deepEqual([forced.order?.outcome, forced.lastDrain?.reason], ["done", "so it is"]);
  });

  it("is judged by the routes of that moment: an order right after a change of theirs", async () => {
    const { host, one, two } = await serving();
    const releases = [one, two];
    for (let round = 1; round <= 6; round++) {
      const [next, held] = [releases[round % 2], releases[(round + 1) % 2]];
      assert(next && held);
      await putRoutes(host, { default: held.version, serving: [held.version], revision: 2 * round });
      await untilRefused(host, await host.install("a", next));
      await putRoutes(host, { default: next.version, serving: [next.version], revision: 2 * round + 1 });
      await host.installed("a", next);
    }
  });

  it("keeps the answer that an order got, also over a restart and after the routes have changed", async () => {
    const { host, two } = await serving();
    await putRoutes(host, { default: "1", serving: ["1"] });
    const id = await host.install("a", two);
    await untilRefused(host, id);
    await putRoutes(host, { default: "2", serving: ["2"], revision: 2 });
    await host.killAgent();
    await host.startAgent();
    await untilRefused(host, id);
    const entry = await entryOf(host, buckets.orders, keys.order("web", host.name, "a"));
    await putOrder(host, "a", entry?.string() ?? "");
    await until("the repeat was read", () => logged(host, { msg: "order was seen before", orderId: id }).length >= 2);
    await untilRefused(host, id);
    assert.equal((await host.get("a")).version, "1");
    await host.installed("a", two);
  });

  it("is not refused where nothing is known: malformed routes count for none, or leave the last good ones", async () => {
    const { host, two } = await serving();
    const malformed = JSON.stringify({ epoch: 1, revision: 1, mode: "atomic", default: "1", serving: [] });
    await host.put(buckets.routes, keys.routes("web"), malformed);
    await host.installed("a", two);
    assert.equal(logged(host, { msg: "routes are malformed; they are ignored" }).length, 1);
    await putRoutes(host, { default: "2", serving: ["2"] });
    await host.untilSlot("a", "is routed to", ({ routedBy }) => routedBy !== null);
    await host.put(buckets.routes, keys.routes("web"), "{");
    await untilRefused(host, await host.uninstall("a", "2"));
    await purge(host, buckets.routes, keys.routes("web"));
    assert.equal((await host.untilOrder("a", await host.uninstall("a", "2"))).order?.outcome, "done");
  });

  it("is ordered away while the host is cut off: on its return the order is judged by what the routes are then", async () => {
    const { host, two } = await serving();
    await putRoutes(host, { default: "1", serving: ["1"] });
    await host.untilSlot("a", "is routed to", ({ routedBy }) => routedBy === "the routes, as the default");
    await host.endAgent("SIGUSR2");
    await putRoutes(host, { default: "9", serving: ["9"], revision: 2 });
    const id = await host.install("a", two);
    await host.startAgent();
    assert.equal((await host.untilOrder("a", id)).order?.outcome, "done");
    assert.equal((await host.slot("a")).routedBy, null);
  });

  it("may be drained by an operator, and the status says who routes to it", async () => {
    const { host } = await serving();
    await putRoutes(host, { default: "1", serving: ["1"] });
    await host.untilSlot("a", "is routed to", ({ routedBy }) => routedBy === "the routes, as the default");
    await host.do("drain", "a");
    await host.untilSlot("a", "is drained", ({ lastDrain }) => lastDrain !== null);
  });
});
