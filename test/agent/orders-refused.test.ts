import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Kvm } from "@nats-io/kv";
import { headers } from "@nats-io/transport-node";
import fc from "fast-check";
import { maxEpoch } from "../../protocol/epoch.ts";
import type { SlotStatus } from "../../protocol/host-status.ts";
import type { Release } from "../../protocol/release.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { untilEvent } from "../support/agent/event-stream.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, logged, putOrder, standing, untilLogged } from "../support/agent/orders.ts";
import { installs, mutated } from "../support/arbitrary.ts";
import { PATIENCE_MS, until } from "../support/until.ts";

describe("an order that is not to be acted on", () => {
  const hosts = useHosts();

  /** A host that serves version 1 in slot a. */
  async function serving(): Promise<{ host: Host; release: Release }> {
    const host = await hosts.start();
    const [release] = await appReleases(host, "1");
    assert(release);
    await host.installed("a", release);
    return { host, release };
  }

  /** Puts an order, waits for its refusal everywhere, and sees that nothing else changed. */
  async function refused(host: Host, order: object | string, code: string, field: string): Promise<void> {
    const before = await standing(host, "a");
    const { order: last, epoch } = await host.slot("a");
    await putOrder(host, "a", typeof order === "string" ? order : JSON.stringify(order));
    const is = ({ refused }: SlotStatus) => refused?.code === code && refused.field === field;
    const slot = await host.untilSlot("a", `refused the order with ${code} for ${field}`, is);
    assert(slot.refused?.message.includes(field) || code !== "ORDER_MALFORMED");
    await untilEvent(host, code, (event) => event.code === code && event.slot === "a" && event.kind === "order");
    assert(logged(host, { msg: "order was refused", code, slot: "a" }).length > 0, "it is in the log");
    assert.deepEqual(await standing(host, "a"), before);
    assert.deepEqual((await host.slot("a")).order, last);
    assert.equal((await host.slot("a")).epoch, epoch);
    assert.equal((await host.slot("a")).lastError, null);
  }

  function order(more: Record<string, unknown>): Record<string, unknown> {
    const id = `refused-${Math.random().toString(36).slice(2)}`;
    return { id, epoch: 1_000_000, issuedBy: "test", issuedAt: "2026-01-02T03:04:05.678Z", ...more };
  }

  it("is told with its code and the field at fault, in the status, on the stream and in the log, and changes nothing", async () => {
    const { host, release } = await serving();
    const install = (more: object) => order({ action: "install", release: { ...release, ...more } });
    const uninstall = (more: object) => order({ action: "uninstall", version: "1", ...more });
    await refused(host, "not json {", "ORDER_MALFORMED", "(the whole order)");
    await refused(host, order({ action: "install" }), "ORDER_MALFORMED", "release");
    await refused(host, { ...install({}), colour: "red" }, "ORDER_MALFORMED", "colour");
    await refused(host, { ...install({}), epoch: "7" }, "ORDER_MALFORMED", "epoch");
    await refused(host, install({ version: "1..2" }), "ORDER_MALFORMED", "release.version");
    await refused(host, install({ url: "gopher://h/1" }), "ORDER_MALFORMED", "release.url");
    await refused(host, uninstall({ force: true }), "ORDER_MALFORMED", "reason");
    await refused(host, { ...install({}), epoch: 0 }, "STALE_EPOCH", "epoch");
    await refused(host, { ...install({}), epoch: Number.MAX_SAFE_INTEGER - 1 }, "ORDER_MALFORMED", "epoch");
    await refused(host, { ...install({}), epoch: maxEpoch }, "EPOCH_TOO_HIGH", "epoch");
    await refused(host, install({ sha256: "f".repeat(64) }), "DIGEST_MISMATCH", "release.sha256");
    await refused(host, uninstall({ version: "9" }), "VERSION_NOT_INSTALLED", "version");
  });

  it("leaves no trace after the next good one", async () => {
    const { host, release } = await serving();
    await putOrder(host, "a", "{");
    await host.untilSlot("a", "refused it", (slot) => slot.refused !== null);
    assert.equal((await host.installed("a", release)).refused, null);
  });

  it("does not fill the status, or stop the events, however large it is", async () => {
    const { host, release } = await serving();
    const huge = order({ action: "install", release, ["x".repeat(200_000)]: 1 });
    await refused(host, huge, "ORDER_MALFORMED", "x".repeat(128));
    await host.installed("a", release, { epoch: 2_000_000 });
    await untilEvent(host, "the next order", (event) => event.kind === "order" && event.message.includes("2000000"));
  });

  it("never changes what serves, whatever is put", async () => {
    const { host } = await serving();
    const before = await standing(host, "a");
    const last = (await host.slot("a")).order;
    const mutants = mutated(installs.map((install) => ({ ...install, epoch: 0 }))).map((value) =>
      JSON.stringify(value),
    );
    const texts = fc.sample(fc.oneof(fc.string(), fc.json(), mutants), { numRuns: 60, seed: 7 });
    for (const text of texts) {
      const revision = await putOrder(host, "a", text);
      await untilLogged(host, { msg: "order was read", slot: "a", revision });
    }
    assert.deepEqual(await standing(host, "a"), before);
    assert.deepEqual((await host.slot("a")).order, last);
  });

  it("is one that the bucket refused, though its message was seen", async () => {
    const { host, release } = await serving();
    const before = await standing(host, "a");
    const nc = await host.bus();
    const subject = `$KV.${buckets.orders}.${keys.order("web", host.name, "a")}`;
    const text = JSON.stringify(order({ action: "install", release: { ...release, version: "2" } }));
    const expecting = headers();
    expecting.set("Nats-Expected-Last-Subject-Sequence", "1");
    const answer = await nc.request(subject, text, { headers: expecting, timeout: PATIENCE_MS });
    assert.match(answer.string(), /wrong last sequence/);
    // What came after it is seen, so that it was as well.
    const revision = await putOrder(host, "b", "{");
    await untilLogged(host, { msg: "order was read", slot: "b", revision });
    assert.deepEqual(await standing(host, "a"), before);
    assert.equal((await host.slot("a")).refused, null);
  });

  it("is a deletion of the order", async () => {
    const { host } = await serving();
    const before = await standing(host, "a");
    const kv = await new Kvm(await host.bus()).open(buckets.orders);
    await kv.delete(keys.order("web", host.name, "a"));
    await kv.purge(keys.order("web", host.name, "a"));
    const revision = await putOrder(host, "b", "{");
    await untilLogged(host, { msg: "order was read", slot: "b", revision });
    assert.deepEqual(await standing(host, "a"), before);
  });

  it("is one for the service web-api, where this host serves web", async () => {
    const { host, release } = await serving();
    const api = await hosts.start({ service: "web-api", host: host.name });
    const text = JSON.stringify(
      order({ action: "install", release: { ...release, version: "api-1", url: release.url } }),
    );
    await host.put(buckets.orders, keys.order("web-api", host.name, "b"), text);
    await until("web-api took its order", async () => (await api.slot("b")).order?.version === "api-1");
    const revision = await putOrder(host, "b", "{");
    await untilLogged(host, { msg: "order was read", slot: "b", revision });
    const { order: last, state } = await host.slot("b");
    assert.equal(last, null);
    assert.equal(state, "empty");
  });
});
