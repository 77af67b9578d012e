import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openBucket } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import { claimsOf, highestEpoch, nextEpoch, noteEpoch } from "../../controller-stub/orders/epochs.ts";
import { deploySchema } from "../../protocol/deploy.ts";
import { maxEpoch } from "../../protocol/epoch.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { connectTo, hostStatus, slotStatus } from "./fake-host.ts";

const NOTHING = { issued: [], claims: [] };

let nats: NatsServer;
let one: BusSession;
let two: BusSession;

describe("epochs", () => {
  before(async () => {
    nats = await startNats();
    [one, two] = await Promise.all([connectTo(nats.url), connectTo(nats.url)]);
  });
  after(async () => {
    await one?.close();
    await two?.close();
    await nats?.stop();
  });

  it("two controllers at once never get the same epoch, and each sees its own grow", async () => {
    const take = async (bus: BusSession) => {
      const epochs: number[] = [];
      for (let i = 0; i < 20; i++) epochs.push(await nextEpoch(bus, "web", NOTHING));
      return epochs;
    };
    const [first, second] = await Promise.all([take(one), take(two)]);
    for (const epochs of [first, second])
      assert.deepEqual(
        epochs,
        epochs.toSorted((a, b) => a - b),
      );
    const all = [...first, ...second].sort((a, b) => a - b);
    assert.deepEqual(
      all,
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
  });

  it("an epoch is higher than any that orders, hosts and the record know of", async () => {
    const statuses = [
      hostStatus("api", "h1", { slots: { a: slotStatus("a", { epoch: 41 }) } }),
      hostStatus("api", "h2"),
    ];
    assert.equal(highestEpoch({ issued: [3, 9], claims: claimsOf(statuses) }, 0).epoch, 41);
    assert.equal(highestEpoch({ issued: [3, 9], claims: [] }, 0).epoch, 9);
    assert.equal(highestEpoch({ issued: [3, 9], claims: claimsOf(statuses) }, 50).epoch, 50);
    assert.equal(highestEpoch(NOTHING, 0).epoch, 0);
    assert.equal(await nextEpoch(one, "api", { issued: [], claims: claimsOf(statuses) }), 42);
    assert.equal(await nextEpoch(one, "api", { issued: [3], claims: [] }), 43);
  });

  it("a host that claims an epoch far beyond the others uses up none, and is named", () => {
    const rogue = hostStatus("api", "h9", { slots: { a: slotStatus("a", { epoch: maxEpoch }) } });
    const honest = hostStatus("api", "h1", { slots: { a: slotStatus("a", { epoch: 41 }) } });
    const { epoch, beyond } = highestEpoch({ issued: [3], claims: claimsOf([honest, rogue]) }, 7);
    assert.deepEqual([epoch, beyond], [41, [{ by: "h9", epoch: maxEpoch }]]);
  });

  it("an epoch that was chosen by hand moves the next one up, and never down", async () => {
    await noteEpoch(one, "pinned", 100, NOTHING);
    await noteEpoch(one, "pinned", 7, NOTHING);
    assert.equal(await nextEpoch(two, "pinned", NOTHING), 101);
    await assert.rejects(noteEpoch(one, "pinned", maxEpoch, NOTHING), /--epoch must be at most 1000101/);
    assert.equal(await nextEpoch(two, "pinned", NOTHING), 102);
  });

  it("taking an epoch leaves the rest of the deploy's record as it is, and a deleted record starts over", async () => {
    const kv = await openBucket(one, buckets.deploys);
    const since = "2026-01-01T00:00:00.000Z";
    const lock = { holder: "someone", token: "t", epoch: 5, since, leaseMs: 1000, renewals: 7 };
    const revision = { version: "1.0", sha256: "a".repeat(64), by: "ci", message: "", at: since };
    const deploy = { service: "locked", epoch: 5, lock, deploy: null, revisions: [revision] };
    await kv.put(keys.deploy("locked"), JSON.stringify(deploy));
    assert.equal(await nextEpoch(one, "locked", NOTHING), 6);
    assert.deepEqual(deploySchema.parse((await kv.get("locked"))?.json()), { ...deploy, epoch: 6 });
    await kv.delete("locked");
    assert.equal(await nextEpoch(one, "locked", { issued: [8], claims: [] }), 9);
  });

  it("a record that can't be read is named, and left as it is", async () => {
    const kv = await openBucket(one, buckets.deploys);
    await kv.put("broken", "{}");
    await assert.rejects(
      nextEpoch(one, "broken", NOTHING),
      /the deploy record of broken in slotd-deploys can't be read/,
    );
    assert.equal((await kv.get("broken"))?.string(), "{}");
  });
});
