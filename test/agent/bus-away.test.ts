import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import type { HostStatus } from "../../protocol/host-status.ts";
import { objectUrl } from "../../protocol/release.ts";
import { buckets, keys, releaseStore } from "../../protocol/subjects.ts";
import { streamEvents, untilEvent } from "../support/agent/event-stream.ts";
import { startGatedSource } from "../support/agent/gated-source.ts";
import { Host, type Settings } from "../support/agent/host.ts";
import { appReleases, putOrder, standing } from "../support/agent/orders.ts";
import { logKey } from "../support/nats/key-log.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { until } from "../support/until.ts";

describe("a bus that comes and goes", () => {
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  async function bus(port?: number): Promise<NatsServer> {
    const storeDir = mkdtempSync(join(tmpdir(), "slotd-nats-"));
    const server = await startNats({ storeDir, ...(port !== undefined && { port }) });
    undo.push(async () => {
      await server.stop();
      rmSync(storeDir, { recursive: true, force: true });
    });
    return server;
  }

  async function start(nats: NatsServer, settings: Settings = {}): Promise<Host> {
    const host = await Host.create({ nats: nats.url, settings });
    undo.push(() => host.close());
    await host.startAgent();
    await untilConnected(host);
    return host;
  }

  const untilConnected = (host: Host) =>
    until("the agent has the bus", async () => (await host.status()).bus.connected);
  const untilAway = (host: Host) => until("the agent misses the bus", async () => !(await host.status()).bus.connected);

  async function served(host: Host): Promise<void> {
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    await host.installed("b", two);
  }

  it("is not there at the start: both slots come up from the journal; the bus gets all that it lacks when it comes", async () => {
    const nats = await bus();
    const host = await start(nats);
    await served(host);
    assert.equal(await host.endAgent("SIGTERM"), 0);
    await nats.kill();

    await host.startAgent();

    for (const slot of ["a", "b"]) await host.untilState(slot, "serving");
    assert.equal((await host.get("a")).version, "1");
    assert.equal((await host.get("b")).version, "2");
    const { bus: away } = await host.status();
    assert.equal(away.connected, false);
    assert.equal(away.server, null);
    assert.match(away.error ?? "", /refused|connect/i);

    await bus(nats.port);
    await untilConnected(host);
    const kvm = new Kvm(await host.bus());
    for (const slot of ["a", "b"]) {
      const member = await until("the member is there", () => host.member(slot));
      assert.equal(member.status, "ALIVE");
    }
    const kv = await kvm.open(buckets.hosts);
    const status = await until("the status is there", () => kv.get(keys.host("web", host.name)));
    assert.equal(status.json<HostStatus>().slots.a?.state, "serving");
  });

  it("is away while more happens than ten events: they come later, without a warning of Node's", async () => {
    const nats = await bus();
    const host = await start(nats);
    await served(host);
    await nats.kill();
    await untilAway(host);
    const waiting = new Set((await host.events()).map(({ at }) => at));
    await until("more than ten events wait", async () => {
      await host.do("drain", "b");
      await host.do("undrain", "b");
      return (await host.events()).filter(({ at }) => !waiting.has(at)).length > 10;
    });
    await nats.restart();
    await untilConnected(host);
    const last = JSON.stringify((await host.events()).at(-1));
    const isThere = async () => (await streamEvents(host)).some((event) => JSON.stringify(event) === last);
    await until("they are on the stream", isThere);
    assert.doesNotMatch(host.log(), /MaxListenersExceededWarning/);
  });

  it("comes back as it was: nothing flaps, nothing is done again, and the events that waited come in their order", async () => {
    const nats = await bus();
    const host = await start(nats);
    await served(host);
    await untilEvent(host, "b serves", (event) => event.slot === "b" && event.message.endsWith("→ serving"));
    const before = [await standing(host, "a"), await standing(host, "b")];
    const writes = await logKey(await host.bus(), buckets.serversets, keys.member("web", "prod", host.name, "a"));
    await nats.kill();
    await untilAway(host);
    // What happens meanwhile happens on this host only.
    await host.do("restart", "b");
    await host.untilSlot("b", "was restarted", ({ workers }) => workers.restarts === 2 && workers.ready === 2);
    assert.equal((await host.get("a")).version, "1");
    writes.length = 0;

    await nats.restart();
    await untilConnected(host);

    const local = (await host.events()).map(({ message }) => message);
    await until("all events are on the stream", async () => (await streamEvents(host)).length >= local.length);
    assert.deepEqual(
      (await streamEvents(host)).map(({ message }) => message),
      await host.events().then((all) => all.map(({ message }) => message)),
    );
    await until("the member was written again", () => writes.length > 0);
    const member = JSON.stringify(await host.member("a"));
    assert(writes.length <= 2, `${writes.length} writes`);
    for (const write of writes) assert.equal(write.value, member);
    assert.deepEqual(await standing(host, "a"), before[0]);
    assert.equal((await host.slot("a")).refused, null);
  });

  it("comes back empty: buckets, members and status are there again, and orders are taken from it", async () => {
    const nats = await bus();
    const host = await start(nats);
    await served(host);
    const before = [await host.pids("a"), await host.pids("b")];
    // Revisions that the new bucket begins below.
    for (let i = 0; i < 5; i++) await putOrder(host, "a", "{");
    await nats.kill();
    await untilAway(host);

    await bus(nats.port);
    await untilConnected(host);

    for (const slot of ["a", "b"]) await until(`the member of ${slot} is there`, () => host.member(slot));
    const kv = await new Kvm(await host.bus()).open(buckets.hosts);
    await until("the status is there", () => kv.get(keys.host("web", host.name)));
    assert.deepEqual([await host.pids("a"), await host.pids("b")], before);
    const [three] = await appReleases(host, "3");
    assert(three);
    assert.equal((await host.installed("a", three)).version, "3");
    assert.equal((await until("the member follows", () => host.member("a"))).metadata.version, "3");
    await untilEvent(host, "it serves", (event) => event.version === "3" && event.message.endsWith("→ serving"));
  });

  it("dies in the middle of an install, which goes on", async () => {
    const nats = await bus();
    const source = await startGatedSource();
    undo.push(() => source.close());
    const host = await start(nats);
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("b", two);
    const id = await host.install("a", source.serve(one));
    await host.untilSlot("a", "is fetching", ({ progress }) => progress?.step === "fetching" && progress.done > 0);
    await nats.kill();
    await untilAway(host);
    source.open();

    const slot = await host.untilOrder("a", id);

    assert.equal(slot.order?.outcome, "done");
    assert.equal((await host.get("a")).version, "1");
    await nats.restart();
    assert.equal((await until("its member is there", () => host.member("a"))).metadata.version, "1");
  });

  it("is away when a release is to be fetched from it: the install waits, and goes on when it is back", async () => {
    const nats = await bus();
    const host = await start(nats);
    const [one] = await appReleases(host, "1");
    assert(one);
    const store = await new Objm(await host.bus()).open(releaseStore);
    await store.putBlob({ name: "web/1.tar.gz" }, readFileSync(fileURLToPath(one.url)));
    const release = { ...one, url: objectUrl("web/1.tar.gz") };
    await host.installed("a", release);
    // Both slots stopped, and the files gone: a start without the bus has to fetch.
    assert.equal(await host.endAgent("SIGTERM"), 0);
    rmSync(join(host.state, "releases"), { recursive: true });
    await nats.kill();

    await host.startAgent();
    // Longer than the fetch's own attempts take where the source answers with an error at once.
    const since = performance.now();
    await until("some time has passed without a failure", async () => {
      assert.equal((await host.slot("a")).lastError, null);
      return performance.now() - since > 2_500;
    });
    await nats.restart();

    await host.untilState("a", "serving");
    assert.equal((await host.get("a")).version, "1");
  });
});
