import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { DrainRecord, SlotStatus } from "../../protocol/host-status.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, logged, untilLogged } from "../support/agent/orders.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { until } from "../support/until.ts";
import { edgeStatus, entryOf, purge, report } from "./support/edge-status.ts";

/** A bound that no test waits for. */
const LONG = { edges_timeout_ms: 60_000, pause_ms: 60_000 };

describe("a drain that waits for edges", () => {
  const hosts = useHosts();

  const serving = async (drain: Record<string, unknown> = {}, app = {}): Promise<Host> => {
    const host = await hosts.start({ drain: { ...LONG, ...drain }, app });
    const [release] = await appReleases(host, "1");
    assert(release);
    await host.installed("a", release);
    hosts.onEnd(() => clearEdges(host));
    return host;
  };
  /** The bus is shared by the tests: an edge of one is none of the next. */
  const clearEdges = async (host: Host) => {
    for (const edge of ["e1", "e2", "e3"]) await purge(host, buckets.edges, keys.edge("web", edge));
  };
  const waits = ({ progress }: SlotStatus) => progress?.step === "waiting for edges";
  const waitsFor = (done: number, total: number) => (slot: SlotStatus) =>
    waits(slot) && slot.progress?.done === done && slot.progress.total === total;
  /** The revision of the withdrawal, as a reader of the bucket sees it. */
  const withdrawal = async (host: Host): Promise<number> => {
    await host.untilSlot("a", "waits for edges", waits);
    const entry = await until("it is withdrawn", async () => {
      const found = await entryOf(host, buckets.serversets, keys.member("web", "prod", host.name, "a"));
      return found?.json<{ status: string }>().status === "STOPPING" ? found : null;
    });
    return entry.revision;
  };

  it("waits for the acknowledgement of that very withdrawal by each of them", async () => {
    const host = await serving();
    await report(host, "e1", { appliedServersets: 1 });
    await report(host, "e2", { appliedServersets: 1 });
    const id = await host.uninstall("a", "1");
    const revision = await withdrawal(host);
    await host.untilSlot("a", "waits for both", waitsFor(0, 2));
    await report(host, "e1", { appliedServersets: revision });
    await report(host, "e2", { appliedServersets: revision - 1 });
    const slot = await host.untilSlot("a", "waits for one", waitsFor(1, 2));
    assert.equal(slot.progress?.unit, "edges");
    assert.equal((await host.get("a")).version, "1");
    await report(host, "e2", { appliedServersets: revision });
    const { lastDrain } = await host.untilOrder("a", id);
    assert.deepEqual([lastDrain?.edges, lastDrain?.revision, lastDrain?.missingEdges], ["acked", revision, undefined]);
  });

  it("names the edges that have not acknowledged when the bound is over, one whose proxy is down among them", async () => {
    const host = await serving({ edges_timeout_ms: 2_000 });
    for (const edge of ["e1", "e2", "e3"]) await report(host, edge, { appliedServersets: edge === "e3" ? 0 : 1 });
    const id = await host.uninstall("a", "1");
    await report(host, "e1", { appliedServersets: await withdrawal(host) });
    const { lastDrain, order } = await host.untilOrder("a", id);
    assert.equal(order?.outcome, "done");
    assert.deepEqual([lastDrain?.edges, lastDrain?.missingEdges], ["timeout", ["e2", "e3"]]);
    assert((lastDrain?.durationMs ?? 0) >= 2_000, JSON.stringify(lastDrain));
    const event = (await host.events()).find(({ kind, facts }) => kind === "drain" && facts?.edges === "timeout");
    assert.deepEqual(event?.facts?.missingEdges, ["e2", "e3"]);
  });

  it("leaves out an edge that dies, by its lease", async () => {
    const host = await serving();
    await report(host, "e1", { appliedServersets: 1 });
    await report(host, "e2", { appliedServersets: 1, leaseMs: 700 });
    const id = await host.uninstall("a", "1");
    await report(host, "e1", { appliedServersets: await withdrawal(host) });
    const { lastDrain } = await host.untilOrder("a", id);
    assert.deepEqual([lastDrain?.edges, lastDrain?.missingEdges], ["acked", undefined]);
  });

  it("goes on waiting for an edge that says again and again that it lives", async () => {
    const host = await serving();
    const beat = () => report(host, "e1", { appliedServersets: 1, leaseMs: 1_500 });
    await beat();
    const id = await host.uninstall("a", "1");
    const revision = await withdrawal(host);
    const end = performance.now() + 4_500;
    while (performance.now() < end) {
      await beat();
      assert(waits(await host.slot("a")));
      // A heartbeat well within the lease: its pace is what the test is about.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await report(host, "e1", { appliedServersets: revision });
    assert.equal((await host.untilOrder("a", id)).lastDrain?.edges, "acked");
  });

  it("has its pause where there is no edge, where the last one lapses, and where one has gone", async () => {
    const host = await serving({ pause_ms: 300 });
    const drained = async () => {
      const { lastDrain } = await host.slot("a");
      await host.do("drain", "a");
      const isNew = (slot: SlotStatus) => slot.lastDrain !== null && slot.lastDrain.startedAt !== lastDrain?.startedAt;
      const { lastDrain: record } = await host.untilSlot("a", "is drained", isNew);
      await host.do("undrain", "a");
      await host.untilState("a", "serving");
      return record as DrainRecord;
    };
    const none = await drained();
    assert.equal(none.edges, "paused");
    assert(none.durationMs >= 300);
    await report(host, "e1", { appliedServersets: 1, leaseMs: 2_500 });
    const lapsed = await drained();
    assert.equal(lapsed.edges, "paused");
    assert(lapsed.durationMs >= 1_000, JSON.stringify(lapsed));
    await report(host, "e2", { appliedServersets: 1 });
    await clearEdges(host);
    assert.equal((await drained()).edges, "paused");
  });

  it("counts an old status that it finds at its start for one lease", async () => {
    const host = await serving();
    await report(host, "e1", { at: "2020-01-01T00:00:00.000Z", leaseMs: 5_000, appliedServersets: 1 });
    await report(host, "e2", { appliedServersets: 10 ** 9 });
    await host.killAgent();
    await host.startAgent();
    await host.untilState("a", "serving");
    await until("the bus is there", async () => (await host.status()).bus.connected);
    const id = await host.uninstall("a", "1");
    await host.untilSlot("a", "waits for the old one", waitsFor(1, 2));
    assert.equal((await host.untilOrder("a", id)).lastDrain?.edges, "acked");
  });

  it("ignores what is malformed, and says so once for each key", async () => {
    const host = await serving({ pause_ms: 50 });
    const put = (edge: string, text: string) => host.put(buckets.edges, keys.edge("web", edge), text);
    await put("e1", "no JSON");
    await put("e1", "still no JSON");
    await put("e2", JSON.stringify({ ...edgeStatus("e2"), appliedServersets: -1 }));
    await put("e3", JSON.stringify(edgeStatus("another")));
    const { lastDrain } = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(lastDrain?.edges, "paused");
    const msg = "status of an edge is malformed; it is ignored";
    await untilLogged(host, { msg }, 3);
    const faults = logged(host, { msg }).map(({ key, fault }) => `${key} ${fault}`);
    assert.deepEqual(faults.length, 3);
    assert.match(faults[0] ?? "", /^web\.e1 must be JSON$/);
    assert.match(faults[1] ?? "", /^web\.e2 appliedServersets: /);
    assert.match(faults[2] ?? "", /^web\.e3 must be of web\.e3, not of web\.another$/);
  });

  it("keeps waiting while the bus is away, its bound standing still, and takes what is said on its return", async () => {
    const host = await serving({ edges_timeout_ms: 4_000 });
    await report(host, "e1", { appliedServersets: 1, leaseMs: 4_000 });
    const id = await host.uninstall("a", "1");
    const revision = await withdrawal(host);
    await hosts.nats.kill();
    try {
      await until("the loss is noticed", async () => !(await host.status()).bus.connected);
      // Longer than the bound, and than the edge's lease.
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      assert(waits(await host.slot("a")), JSON.stringify(await host.slot("a")));
    } finally {
      await hosts.nats.restart();
    }
    await until("the bus is back", async () => (await host.status()).bus.connected);
    assert(waits(await host.slot("a")), "the edge has its lease again");
    await report(host, "e1", { appliedServersets: revision });
    assert.equal((await host.untilOrder("a", id)).lastDrain?.edges, "acked");
  });

  it("can be taken back meanwhile: the same processes serve on, and a later withdrawal is another one", async () => {
    const host = await serving();
    const pids = await host.pids("a");
    await report(host, "e1", { appliedServersets: 1 });
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    const id = await host.uninstall("a", "1");
    const revision = await withdrawal(host);
    await host.do("undrain", "a");
    assert.equal((await host.untilOrder("a", id)).order?.outcome, "cancelled");
    await host.untilState("a", "serving");
    await until("the member is ALIVE again", async () => (await host.member("a"))?.status === "ALIVE");
    assert.deepEqual(await host.pids("a"), pids);
    assert(!watch.of("a").includes(null));
    await host.do("drain", "a");
    const second = await withdrawal(host);
    assert(second > revision);
    await report(host, "e1", { appliedServersets: revision });
    await host.untilSlot("a", "waits on", waitsFor(0, 1));
    await report(host, "e1", { appliedServersets: second });
    const { lastDrain } = await host.untilSlot("a", "is drained", (slot) => slot.lastDrain !== null);
    assert.equal(lastDrain?.edges, "acked");
  });

  it("waits for no edge where an order forces it, or a later order does", async () => {
    const host = await serving();
    await report(host, "e1", { appliedServersets: 1 });
    await host.uninstall("a", "1");
    await withdrawal(host);
    const id = await host.uninstall("a", "1", { force: true, reason: "it is on fire" });
    const { lastDrain } = await host.untilOrder("a", id);
    assert.deepEqual([lastDrain?.edges, lastDrain?.reason], ["forced", "it is on fire"]);
  });

  it("ends with the agent within the bound, and at once with a second SIGTERM", async () => {
    const host = await serving({ edges_timeout_ms: 700 });
    await report(host, "e1", { appliedServersets: 1 });
    const began = performance.now();
    assert.equal(await host.endAgent("SIGTERM"), 0, host.log());
    assert(performance.now() - began < 15_000);
    assert.deepEqual([recordedDrain(host).edges, recordedDrain(host).missingEdges], ["timeout", ["e1"]]);

    host.configure({ drain: LONG });
    await host.startAgent();
    await host.untilState("a", "serving");
    await until("the bus is there", async () => (await host.status()).bus.connected);
    await report(host, "e1", { appliedServersets: 1 });
    const ended = host.endAgent("SIGTERM");
    await host.untilSlot("a", "waits for edges", waitsFor(0, 1));
    process.kill(host.agentPid, "SIGTERM");
    assert.equal(await ended, 0, host.log());
    assert.equal(recordedDrain(host).edges, "forced");
  });

  it("ends with the agent within the bound while the bus is away", async () => {
    const host = await serving({ edges_timeout_ms: 1_000 });
    await report(host, "e1", { appliedServersets: 1 });
    await host.do("drain", "a");
    await withdrawal(host);
    await hosts.nats.kill();
    try {
      await until("the loss is noticed", async () => !(await host.status()).bus.connected);
      const began = performance.now();
      assert.equal(await host.endAgent("SIGTERM"), 0, host.log());
      assert(performance.now() - began < 15_000);
      assert.deepEqual([recordedDrain(host).edges, recordedDrain(host).missingEdges], ["timeout", ["e1"]]);
    } finally {
      await hosts.nats.restart();
    }
  });
});

function recordedDrain(host: Host): DrainRecord {
  return JSON.parse(readFileSync(join(host.state, "journal.json"), "utf8")).slots.a.lastDrain;
}
