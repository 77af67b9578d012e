import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { openBucket } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import { publishRelease } from "../../controller-stub/publish/releases.ts";
import type { Order } from "../../protocol/order.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { endAll, run, start } from "./cli.ts";
import { connectTo, hostStatus, nextOrder, orderFor, report, slotStatus, withOrder } from "./fake-host.ts";

const SHA256 = "a".repeat(64);
const GIVEN = ["--url", "https://files.example.com/web.tar.gz", "--sha256", SHA256, "--size", "10", "--unseen"];

let nats: NatsServer;
let bus: BusSession;
let directory: string;

describe("slotd-controller install", () => {
  before(async () => {
    nats = await startNats();
    bus = await connectTo(nats.url);
    directory = await mkdtemp(join(tmpdir(), "slotd-install-"));
  });
  afterEach(endAll);
  after(async () => {
    await bus?.close();
    await nats?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it("install puts a valid order for each host, with the published release and one epoch", async () => {
    const file = join(directory, "web.tar.gz");
    await writeFile(file, randomBytes(500));
    const { already: _, ...release } = await publishRelease(bus, { service: "web", version: "1.0", file });
    const hosts = ["--host", "h1", "--host", "h2.example.com,h3", "--host", "h1"];
    const done = await run(
      nats.url,
      "install",
      "web",
      "1.0",
      "--slot",
      "a",
      ...hosts,
      "--unseen",
      "--workers",
      "8",
      "--by",
      "ci",
      "--json",
    );
    assert.equal(done.code, 0, done.stderr);
    const orders = await Promise.all(["h1", "h2.example.com", "h3"].map((host) => orderFor(bus, "web", host, "a")));
    const [order] = orders;
    assert.deepEqual(orders, [order, order, order]);
    assert.deepEqual(order, done.json().order);
    assert.ok(order?.action === "install");
    assert.deepEqual([order.release, order.workers, order.issuedBy, order.epoch], [release, 8, "ci", 1]);
    assert.deepEqual(done.json().hosts, ["h1", "h2.example.com", "h3"]);

    const next = await run(
      nats.url,
      "uninstall",
      "web",
      "1.0",
      "--slot",
      "a",
      "--host",
      "h1",
      "--unseen",
      "--drain-timeout",
      "70",
      "--json",
    );
    assert.equal(next.code, 0, next.stderr);
    const removal = await orderFor(bus, "web", "h1", "a");
    assert.ok(removal.action === "uninstall");
    assert.deepEqual(
      [removal.version, removal.epoch, removal.drainTimeoutMs, removal.issuedBy],
      ["1.0", 2, 70, "tester"],
    );
    assert.notEqual(removal.id, order.id);
  });

  it("a release that was not published is not ordered, and takes no epoch", async () => {
    const refused = await run(nats.url, "install", "nope", "1.0", "--slot", "a", "--host", "h1", "--unseen", "--json");
    assert.equal(refused.code, 1);
    assert.equal(refused.json().error.code, "RELEASE_NOT_FOUND");
    assert.equal((await installGiven("nope", "1.0", "--host", "h1")).json().order.epoch, 1);
  });

  it("all-hosts orders for every host that has reported for that very service", async () => {
    await report(bus, hostStatus("fleet", "h1"));
    await report(bus, hostStatus("fleet", "h2.x", { observedAt: "2026-01-01T00:00:00.000Z" }));
    await report(bus, hostStatus("fleet-api", "h9"));
    const done = await installGiven("fleet", "1.0", "--all-hosts");
    assert.deepEqual(done.json().hosts, ["h1", "h2.x"]);
    assert.match(done.stderr, /warning: h2.x last reported .* ago/);
    await orderFor(bus, "fleet", "h2.x", "a");
  });

  it("zero hosts is a failure", async () => {
    const none = await installGiven("nobody", "1.0", "--all-hosts");
    assert.equal(none.code, 1);
    assert.equal(none.json().error.code, "NO_HOSTS");
  });

  it("the epoch is higher than what hosts have seen, unless it is pinned", async () => {
    await report(bus, hostStatus("seen", "h1", { slots: { a: slotStatus("a", { epoch: 70 }) } }));
    assert.equal((await installGiven("seen", "1.0", "--host", "h1")).json().order.epoch, 71);
    assert.equal((await installGiven("seen", "1.0", "--host", "h1", "--epoch", "90")).json().order.epoch, 90);
    assert.equal((await installGiven("seen", "1.0", "--host", "h1")).json().order.epoch, 91);
  });

  it("the same id again puts the very same order", async () => {
    const first = await installGiven("again", "1.0", "--host", "h1", "--id", "build-7", "--by", "ci");
    const second = await installGiven("again", "1.0", "--host", "h1", "--id", "build-7", "--by", "someone");
    assert.deepEqual(second.json().order, first.json().order);
  });

  it("--wait ends with 0 once every host says that this order is done", async () => {
    const { command, order } = await waiting("waited", ["h1", "h2"]);
    await report(bus, hostStatus("waited", "h1", { slots: { a: withOrder("a", order, "done") } }));
    await report(bus, hostStatus("waited", "h2", { slots: { a: withOrder("a", order, "pending") } }));
    await command.line(/h2 a 1.0 starting/);
    await report(bus, hostStatus("waited", "h2", { slots: { a: withOrder("a", order, "done") } }));
    const { code, stdout, stderr } = await command.ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /done on h1, h2/);
  });

  it("--wait ends with 1 and the code and message of each host that failed or refused", async () => {
    const { command, order } = await waiting("failing", ["h1", "h2", "h3"], "--json");
    const error = { code: "NOT_READY", message: "0 of 4 workers were ready" };
    const refused = { code: "STALE_EPOCH", message: "too old", orderId: order.id };
    await report(bus, hostStatus("failing", "h1", { slots: { a: withOrder("a", order, "failed", error) } }));
    await report(bus, hostStatus("failing", "h2", { slots: { a: slotStatus("a", { refused }) } }));
    await report(bus, hostStatus("failing", "h3", { slots: { a: withOrder("a", order, "done") } }));
    const ended = await command.ended;
    assert.equal(ended.code, 1);
    assert.deepEqual(ended.json().error.hosts, [
      { host: "h1", outcome: "failed", ...error },
      { host: "h2", outcome: "refused", code: "STALE_EPOCH", message: "too old" },
    ]);
    assert.match(
      ended.stderr,
      /^error NOT_READY: h1 failed: 0 of 4 workers were ready\nerror STALE_EPOCH: h2 refused: too old\n/,
    );
  });

  it("--wait ends with 1 where the order was cancelled, superseded, or the host has no such slot", async () => {
    const { command, order } = await waiting("ending", ["h1", "h2", "h3"], "--json");
    const later: Order = { ...order, id: "later", epoch: order.epoch + 1 };
    await report(bus, hostStatus("ending", "h1", { slots: { a: withOrder("a", order, "cancelled") } }));
    await report(bus, hostStatus("ending", "h2", { slots: { a: withOrder("a", later, "done") } }));
    await report(bus, hostStatus("ending", "h3", { slots: { c: slotStatus("c") } }));
    const ended = await command.ended;
    assert.equal(ended.code, 1);
    assert.deepEqual(
      ended.json().error.hosts.map((host: { outcome: string; code: string }) => [host.outcome, host.code]),
      [
        ["cancelled", "CANCELLED"],
        ["superseded", "SUPERSEDED"],
        ["refused", "SLOT_UNKNOWN"],
      ],
    );
  });

  it("--wait ends with 1 when its time is over, and names the hosts that are missing", async () => {
    await report(bus, hostStatus("late", "h1"));
    const late = await installGiven("late", "1.0", "--host", "h1,h2", "--wait", "--timeout", "400");
    assert.equal(late.code, 1);
    assert.deepEqual(late.json().error.missing, ["h1", "h2"]);
    assert.match(late.stderr, /error WAIT_TIMEOUT: no outcome within 400 ms from h1, h2/);
  });

  it("a host that was never seen is refused at once, with the name that was meant", async () => {
    await report(bus, hostStatus("known", "laptop"));
    const args = ["install", "known", "1.0", "--slot", "a", "--host", "lptop", "--wait", ...GIVEN].slice(0, -1);
    const refused = await run(nats.url, ...args, "--json");
    assert.equal(refused.code, 1);
    assert.equal(refused.json().error.code, "HOST_UNKNOWN");
    assert.match(refused.stderr, /no host lptop of known has reported in the last day; did you mean laptop\?/);
    const kv = await openBucket(bus, buckets.orders);
    assert.equal(await kv.get(keys.order("known", "lptop", "a")), null);
    assert.equal((await run(nats.url, ...args, "--unseen", "--timeout", "200")).code, 1);
    assert.notEqual(await kv.get(keys.order("known", "lptop", "a")), null);
  });

  it("--wait prints what changes, not what the slot went through before", async () => {
    const common = { id: "old", epoch: 1, issuedBy: "t", issuedAt: "2026-01-01T00:00:00.000Z" };
    const old: Order = { ...common, action: "uninstall", version: "0.9" };
    const error = { code: "NOT_READY", message: "the old failure" };
    await report(bus, hostStatus("changed", "h1", { slots: { a: withOrder("a", old, "failed", error) } }));
    const { command, order } = await waiting("changed", ["h1"]);
    await report(bus, hostStatus("changed", "h1", { slots: { a: withOrder("a", order, "done") } }));
    const { code, stdout } = await command.ended;
    assert.equal(code, 0);
    assert.match(stdout, /h1 a 1\.0 order install-changed-a-.*: done/);
    assert.doesNotMatch(stdout, /old|0\.9/);
  });

  it("--wait outlives a restart of the bus", async () => {
    const own = await startNats();
    try {
      const first = await connectTo(own.url);
      const put = nextOrder(first, "web", "h1", "a");
      await first.nc.flush();
      const command = start(own.url, ["install", "web", "1.0", "--slot", "a", "--host", "h1", "--wait", ...GIVEN]);
      const order = await put;
      await first.close();
      await own.kill();
      await own.restart();
      const second = await connectTo(own.url);
      await report(second, hostStatus("web", "h1", { slots: { a: withOrder("a", order, "done") } }));
      await second.close();
      const { code, stderr } = await command.ended;
      assert.equal(code, 0, stderr);
    } finally {
      await own.stop();
    }
  });

  it("an interrupted --wait ends with 130", async () => {
    const { command } = await waiting("interrupted", ["h1"]);
    command.child.kill("SIGINT");
    assert.equal((await command.ended).code, 130);
  });
});

function installGiven(service: string, version: string, ...options: string[]) {
  return run(nats.url, "install", service, version, "--slot", "a", "--json", ...GIVEN, ...options);
}

/** An install under way with --wait, whose order has been put. */
async function waiting(service: string, hosts: string[], ...options: string[]) {
  const put = nextOrder(bus, service, hosts.at(-1) ?? "", "a");
  await bus.nc.flush();
  const args = ["install", service, "1.0", "--slot", "a", "--host", hosts.join(","), "--wait", ...GIVEN, ...options];
  const command = start(nats.url, args);
  return { command, order: await put };
}
