import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { openBucket } from "../../bus/buckets.ts";
import { readValues } from "../../bus/list-bucket.ts";
import { type BusSession, connectBus } from "../../bus/session.ts";
import { buckets } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { PATIENCE_MS } from "../support/until.ts";

const HOSTS = 6;
const READS = 40;

describe("reading a bucket", () => {
  let nats: NatsServer;
  let bus: BusSession;
  before(async () => {
    nats = await startNats();
    const { signal } = new AbortController();
    bus = await connectBus({ login: { servers: [nats.url] }, timeoutMs: PATIENCE_MS, replicas: 1, signal });
  });
  after(async () => {
    await bus?.close();
    await nats?.stop();
  });

  it("comes to an end, with every key, while its keys are written over all the time", {
    timeout: 3 * PATIENCE_MS,
  }, async () => {
    const kv = await openBucket(bus, buckets.hosts);
    const nc = await connect({ servers: nats.url });
    let written = 0;
    let stop = false;
    const writing = (async () => {
      const own = await new Kvm(nc).open(buckets.hosts);
      while (!stop) {
        const put = (host: number) => own.put(`web.h${host}`, `${++written} ${"x".repeat(2_500)}`);
        await Promise.all(Array.from({ length: HOSTS }, (_, host) => put(host)));
      }
    })();
    try {
      while (written < HOSTS * 2) await bus.nc.flush();
      for (let read = 0; read < READS; read++) {
        const atLeast = written - 2 * HOSTS;
        const values = await readValues(bus, kv, "web.*");
        assert.equal(values.length, HOSTS);
        for (const value of values) assert(Number.parseInt(value.string(), 10) >= atLeast, "an old value was read");
      }
    } finally {
      stop = true;
      await writing;
      await nc.close();
    }
  });
});
