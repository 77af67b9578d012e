import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, putOrder, standing, untilLogged } from "../support/agent/orders.ts";

const SEEN = "order was seen before";

describe("an order that comes again", () => {
  const hosts = useHosts();

  it("is not acted on, and its recorded outcome stands, also after the agent was restarted", async () => {
    const host = await hosts.start();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    const done = order("done", { release: one });
    await put(host, done);
    await host.untilOrder("a", "done");
    const before = await standing(host, "a");
    const events = (await host.events()).length;

    await put(host, done);
    await untilLogged(host, { msg: SEEN, orderId: "done", outcome: "done" });

    assert.deepEqual(await standing(host, "a"), before);
    assert.equal((await host.events()).length, events);

    await host.killAgent();
    await host.startAgent();
    await untilLogged(host, { msg: SEEN, orderId: "done", outcome: "done" }, 2);
    await host.untilState("a", "serving");
    assert.deepEqual((await host.slot("a")).order?.outcome, "done");
    assert.deepEqual(
      ((await standing(host, "a")) as typeof before & { pids: number[] }).pids,
      (before as { pids: number[] }).pids,
    );
  });

  it("keeps its failure: nothing is fetched again", async () => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    assert(one);
    const wrong = order("wrong", { release: { ...one, sha256: "f".repeat(64) } });
    await put(host, wrong);
    const first = await host.untilOrder("a", "wrong");
    assert.equal(first.order?.outcome, "failed");
    assert.equal(first.order?.error?.code, "DIGEST_MISMATCH");

    await put(host, wrong);
    await untilLogged(host, { msg: SEEN, orderId: "wrong", outcome: "failed" });
    await host.killAgent();
    await host.startAgent();
    await untilLogged(host, { msg: SEEN, orderId: "wrong", outcome: "failed" }, 2);

    const { order: last, state } = await host.slot("a");
    assert.deepEqual(last, first.order);
    assert.equal(state, "empty");
  });

  it("stays refused, even where the slot would take it now", async () => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    assert(one);
    await put(host, order("first", { release: { ...one, sha256: "f".repeat(64) }, epoch: 1 }));
    // While that one is under way, or after it failed, the version is taken: which of them is a race that both may win.
    await host.untilOrder("a", "first");
    await host.installed("a", one, { id: "second", epoch: 2 });
    const contradictory = JSON.stringify(uninstallOf("9", "third"));
    await putOrder(host, "a", contradictory);
    await host.untilSlot("a", "refused the order", ({ refused }) => refused?.orderId === "third");
    const refusedBefore = (await host.slot("a")).refused;

    await host.uninstall("a", "1", { id: "fourth", epoch: 4 });
    await host.untilOrder("a", "fourth");
    // The slot is empty: an uninstall would be done at once, were it not the same order.
    await putOrder(host, "a", contradictory);
    await untilLogged(host, { msg: SEEN, orderId: "third", outcome: "refused" });

    const slot = await host.slot("a");
    assert.equal(slot.order?.id, "fourth");
    assert.deepEqual(slot.refused, refusedBefore);
  });

  it("is a conflict under the same id with another content", async () => {
    const host = await hosts.start();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await put(host, order("same", { release: one }));
    await host.untilOrder("a", "same");
    const before = await standing(host, "a");

    await put(host, order("same", { release: two }));

    const { refused } = await host.untilSlot("a", "refused the order", (slot) => slot.refused !== null);
    assert.equal(refused?.code, "ORDER_CONFLICT");
    assert.equal(refused?.field, "id");
    assert.deepEqual(await standing(host, "a"), before);
  });

  it("is done at once, by the same processes, when it only names what is installed", async () => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    const pids = await host.pids("a");
    const { since } = await host.slot("a");

    const slot = await host.installed("a", one);

    assert.deepEqual(await host.pids("a"), pids);
    assert.equal(slot.since, since);
    assert.equal((await host.member("a"))?.metadata.epoch, String(slot.order?.epoch));
  });
});

function order(id: string, more: Record<string, unknown>) {
  return { id, epoch: 1, action: "install", issuedBy: "test", issuedAt: "2026-01-02T03:04:05.678Z", ...more };
}

function uninstallOf(version: string, id: string) {
  const { action: _, ...common } = order(id, { epoch: 4 });
  return { ...common, action: "uninstall", version };
}

function put(host: Host, value: object): Promise<number> {
  return putOrder(host, "a", JSON.stringify(value));
}
