import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { BusConnection } from "../../bus/connection.ts";
import { BucketWatch } from "../../bus/watch-bucket.ts";
import { edgeTraits } from "../../edge/bus/traits.ts";
import { parseEdgeConfig } from "../../edge/config/load.ts";
import { buckets } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { PATIENCE_MS, until } from "../support/until.ts";

const KEYS = Array.from({ length: 24 }, (_, number) => `web.prod.h${number}.a`);
const VALUE = "x".repeat(600);

/** After so long without a word the bucket is listed again, which must not be what a test waits for. */
const QUIET_MS = 60_000;

describe("a watch of a bucket", () => {
  let nats: NatsServer;
  let nc: NatsConnection;
  let bus: BusConnection;
  const log = pino({ level: "silent" });
  before(async () => {
    nats = await startNats();
    nc = await connect({ servers: nats.url });
    const text = `service = "web"\nproxy = { kind = "builtin", port = 1 }\nnats = { servers = ["${nats.url}"] }`;
    bus = new BusConnection(parseEdgeConfig(text).nats, "edge", edgeTraits, log);
    bus.start();
    if (!bus.connected) await once(bus, "up");
  });
  after(async () => {
    await bus?.stop();
    await nc?.close();
    await nats?.stop();
  });

  it("knows when its listing is whole where another service has written last", async () => {
    const kv: KV = await new Kvm(nc).open(buckets.serversets);
    await Promise.all(KEYS.map((key) => kv.put(key, VALUE)));
    await kv.put("other.prod.h0.a", VALUE);
    const seen: string[] = [];
    let whole = false;
    const reader = {
      begin: () => {},
      take: ({ key }: { key: string }) => seen.push(key),
      listed: () => {
        whole = true;
      },
      present: () => {},
    };
    const watch = new BucketWatch(bus, buckets.serversets, "web.*.*.*", reader, QUIET_MS, log);
    watch.start();
    try {
      await until("the listing is whole", () => whole, { timeoutMs: QUIET_MS / 2 });
      assert.deepEqual(seen.sort(), KEYS.toSorted());
    } finally {
      await watch.stop();
    }
  });

  it("knows when its listing is whole, also where every key is written over meanwhile", {
    timeout: 3 * PATIENCE_MS,
  }, async () => {
    const kv: KV = await new Kvm(nc).open(buckets.serversets);
    const writeAll = () => Promise.all(KEYS.map((key) => kv.put(key, VALUE)));
    await writeAll();
    await kv.put("other.prod.h0.a", VALUE);
    for (let round = 0; round < 20; round++) {
      const seen = new Set<string>();
      let whole: number | null = null;
      const reader = {
        begin: () => seen.clear(),
        take: ({ key }: { key: string }) => seen.add(key),
        listed: () => {
          whole ??= seen.size;
        },
        present: () => {},
      };
      const watch = new BucketWatch(bus, buckets.serversets, "web.*.*.*", reader, QUIET_MS, log);
      const burst = (async () => {
        for (let times = 0; times < 6; times++) await writeAll();
      })();
      watch.start();
      try {
        await burst;
        await until("the listing is whole", () => whole !== null, { timeoutMs: QUIET_MS / 2 });
        assert.equal(whole, KEYS.length);
      } finally {
        await watch.stop();
      }
    }
  });
});
