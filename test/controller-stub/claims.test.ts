import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { openBucket } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import { parseMember } from "../../controller-stub/deploy/run/watch/followed-members.ts";
import { publishRelease } from "../../controller-stub/publish/releases.ts";
import { toMember } from "../../protocol/member.ts";
import { type Order, parseOrder } from "../../protocol/order.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { makeRelease } from "../support/release.ts";
import { connectTo, hostStatus, nextOrder, orderFor, report, slotStatus, withOrder } from "./fake-host.ts";
import { runHere } from "./in-process.ts";

const FAR = 9007199254740990;

let nats: NatsServer;
let bus: BusSession;
let directory: string;
let services = 0;
let service = "";

describe("what hosts and edges claim", () => {
  before(async () => {
    nats = await startNats();
    bus = await connectTo(nats.url);
    directory = await mkdtemp(join(tmpdir(), "slotd-claims-"));
  });
  after(async () => {
    await bus?.close();
    await nats?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  async function published(): Promise<void> {
    service = `web${++services}`;
    const file = fileURLToPath((await makeRelease(directory, "1", { files: { "app.js": "" } })).url);
    await publishRelease(bus, { service, version: "1", file });
  }

  const install = (host: string, ...more: string[]) =>
    runHere(nats.url, ["install", service, "1", "--slot", "a", "--host", host, ...more]);

  it("a host that speaks for another is not believed: the order is not done, and the claim is named", async () => {
    await published();
    await report(bus, hostStatus(service, "web-2"));
    const kv = await openBucket(bus, buckets.hosts);
    const claimed = nextOrder(bus, service, "web-2", "a").then((order) => {
      const slots = { a: withOrder("a", order, "done") };
      return kv.put(keys.host(service, "web-1"), JSON.stringify(hostStatus(service, "web-2", { slots })));
    });
    const said = await install("web-2", "--wait", "--timeout", "1500");
    await claimed;
    assert.equal(said.code, 1, said.stdout);
    assert.match(said.stderr, /error WAIT_TIMEOUT: no outcome within 1500 ms from web-2/);
    assert.match(said.stderr, /under web\d+\.web-1: host: must be web-1, as its key says, not web-2/);
  });

  it("a host that claims an epoch beyond all is named, and later orders stay valid", async () => {
    await published();
    await report(bus, hostStatus(service, "good", { slots: { a: slotStatus("a", { epoch: 7 }) } }));
    await report(bus, hostStatus(service, "evil", { slots: { a: slotStatus("a", { epoch: FAR }) } }));
    await report(bus, hostStatus(service, "sly", { slots: { a: slotStatus("a", { epoch: 2 ** 39 }) } }));
    const epochs: number[] = [];
    for (let i = 0; i < 2; i++) {
      const said = await install("good");
      assert.equal(said.code, 0, said.stderr);
      assert.match(said.stderr, new RegExp(`slots.a.epoch: must be at most 1125899906842624, not ${FAR}`));
      assert.match(said.stderr, /sly claims epoch 549755813888, far beyond/);
      epochs.push((await orderFor(bus, service, "good", "a")).epoch);
    }
    assert.deepEqual(epochs, [8, 9]);
  });

  it("a record whose epochs were used up is repaired, and orders are valid again", async () => {
    await published();
    await report(bus, hostStatus(service, "good"));
    const spent = { service, epoch: FAR + 1, lock: null, deploy: null, revisions: [] };
    await (await openBucket(bus, buckets.deploys)).put(keys.deploy(service), JSON.stringify(spent));
    const common = { id: "spent", epoch: FAR + 1, issuedBy: "t", issuedAt: new Date().toISOString() };
    const order = { ...common, action: "uninstall", version: "1" };
    await (await openBucket(bus, buckets.orders)).put(keys.order(service, "good", "a"), JSON.stringify(order));
    const refused = await install("good");
    assert.match(refused.stderr, /error VALUE_MALFORMED: .*epoch: must be at most/);
    assert.equal((await runHere(nats.url, ["repair", service, "--yes"])).code, 0);
    assert.equal((await install("good")).code, 0);
    assert.equal((await orderFor(bus, service, "good", "a")).epoch, 1);
  });

  it("eight slots of a host count; the others are left out and reported", async () => {
    await published();
    const names = Array.from({ length: 70 }, (_, at) => `x${String(at).padStart(2, "0")}`);
    const slots = Object.fromEntries(["a", "b", ...names].map((slot) => [slot, slotStatus(slot)]));
    await report(bus, hostStatus(service, "h1", { slots: { ...slots, c: slotStatus("d") } }));
    const said = await runHere(nats.url, ["status", service, "--json"]);
    assert.deepEqual(Object.keys(JSON.parse(said.stdout).hosts[0].slots), ["a", "b", ...names.slice(0, 6)]);
    assert.match(said.stderr, /slots: must be at most 8, so 65 are not counted/);
    assert.match(said.stderr, /slots\.c: slot must be c, not d/);
  });

  it("a member and an edge's status count only for what their keys name", async () => {
    const registration = {
      ...{ service: "web", stage: "prod", host: "h1", slot: "a", version: "C", sha256: "a".repeat(64), epoch: 3 },
      ...{ address: { host: "10.1.2.3", port: 8001 }, capacity: 2, workers: 2, status: "ALIVE" as const },
    };
    for (const [key, rule] of [
      ["web.prod.h1.b", "metadata.slot: must be b, as its key says, not a"],
      ["web.prod.h2.a", "metadata.host: must be h2, as its key says, not h1"],
      ["web.canary.h1.a", "metadata.stage: must be canary, as its key says, not prod"],
      ["api.prod.h1.a", "metadata.service: must be api, as its key says, not web"],
    ] as const) {
      const known = parseMember(key, JSON.stringify(toMember(registration)));
      assert.deepEqual([known.member, "problem" in known && known.problem], [null, rule]);
    }
    const status = {
      ...{ service: "other", edge: "e1", proxy: "builtin", appliedRoutes: 1, appliedServersets: 1, epoch: 1 },
      ...{ serving: [], default: null, at: new Date().toISOString(), leaseMs: 15_000, endpoints: 0, heldBack: 0 },
      problems: [],
    };
    await (await openBucket(bus, buckets.edges)).put("spoken.e1", JSON.stringify(status));
    const said = await runHere(nats.url, ["edges", "spoken", "--json"]);
    const [edge] = JSON.parse(said.stdout).edges;
    assert.equal(edge.problem, "service: must be spoken, as its key says, not other");
  });

  it("no order of an epoch beyond all is one", () => {
    const order: Order = {
      ...{ id: "o", epoch: 1, issuedBy: "t", issuedAt: new Date().toISOString(), action: "uninstall", version: "1" },
    };
    parseOrder(JSON.stringify(order));
    assert.throws(() => parseOrder(JSON.stringify({ ...order, epoch: FAR })), /epoch must be at most 1125899906842624/);
  });
});
