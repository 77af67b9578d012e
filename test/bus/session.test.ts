import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { StorageType } from "@nats-io/jetstream";
import { TimeoutError } from "@nats-io/transport-node";
import { ensureAll, openBucket } from "../../bus/buckets.ts";
import { readEntries, readValues } from "../../bus/list-bucket.ts";
import { isTransient, persist } from "../../bus/retry.ts";
import type { BusSession } from "../../bus/session.ts";
import { bucketSettings } from "../../protocol/bucket-settings.ts";
import { buckets, eventStream } from "../../protocol/subjects.ts";
import { connectTo } from "../controller-stub/fake-host.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";

let nats: NatsServer;
let bus: BusSession;

describe("the controller's bus", () => {
  before(async () => {
    nats = await startNats();
    bus = await connectTo(nats.url);
  });
  after(async () => {
    await bus?.close();
    await nats?.stop();
  });

  it("a bucket that exists with other settings is used as it is", async () => {
    await bus.kvm.create(buckets.edges, { history: 7, storage: StorageType.Memory });
    const kv = await openBucket(bus, buckets.edges);
    await kv.put("web.e1", "x");
    const { history, storage } = await kv.status();
    assert.deepEqual([history, storage], [7, "memory"]);
  });

  it("missing buckets are made with the settings that agents use, also by two at once", async () => {
    const other = await connectTo(nats.url);
    await Promise.all([ensureAll(bus), ensureAll(other)]);
    await other.close();
    for (const name of [buckets.orders, buckets.hosts, buckets.serversets, buckets.routes, buckets.deploys]) {
      const status = await (await openBucket(bus, name)).status();
      const { history, ttlMs } = bucketSettings[name];
      assert.deepEqual(
        [status.history, status.ttl, status.storage, status.replicas],
        [history, ttlMs, "file", 1],
        name,
      );
    }
    const { config } = await bus.jsm.streams.info(eventStream.name);
    assert.deepEqual(
      [config.max_age, config.max_bytes, config.discard, config.subjects],
      [eventStream.maxAgeMs * 1e6, 1024 ** 3, "old", [eventStream.subjects]],
    );
  });

  it("a user and password in the address are not taken for a part of the host", async () => {
    const [host] = nats.url.split("//").slice(1);
    const named = await connectTo(`nats://me:12345@${host}`);
    await named.close();
  });

  it("reading a filter finds each key's present value, and the earlier ones where asked", async () => {
    const kv = await openBucket(bus, buckets.orders);
    await kv.put("web.h1.a", "1");
    await kv.put("web.h1.a", "2");
    await kv.put("web.h2.a", "3");
    await kv.delete("web.h2.a");
    await kv.put("webs.h1.a", "4");
    assert.deepEqual(
      (await readValues(bus, kv, "web.*.*")).map((entry) => entry.string()),
      ["2"],
    );
    assert.equal((await readEntries(bus, kv, "web.*.*")).length, 4);
    assert.deepEqual(await readValues(bus, kv, "nobody.*.*"), []);
  });

  it("what fails for a moment is done again, what fails for good is not, and patience has an end", async () => {
    const { signal } = new AbortController();
    let attempts = 0;
    const third = async () => {
      attempts++;
      if (attempts < 3) throw new TimeoutError();
      return attempts;
    };
    assert.equal(await persist(third, { where: "x", signal }), 3);
    await assert.rejects(
      persist(() => Promise.reject(new RangeError("no")), { where: "x", signal }),
      RangeError,
    );
    const never = persist(() => Promise.reject(new TimeoutError()), { where: "x", signal, patienceMs: 1 });
    await assert.rejects(never, { code: "BUS_UNREACHABLE" });
    assert.equal(isTransient(new Error("other")), false);
  });

  it("an operation goes on where the bus was restarted in the middle of it", async () => {
    const own = await startNats();
    try {
      const client = await connectTo(own.url, { timeoutMs: 500 });
      const kv = await openBucket(client, buckets.orders);
      await own.kill();
      const put = client.persist(() => kv.put("web.h1.a", "late"));
      await own.restart();
      await put;
      assert.equal((await kv.get("web.h1.a"))?.string(), "late");
      await client.close();
    } finally {
      await own.stop();
    }
  });
});
