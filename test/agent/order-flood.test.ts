import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { buckets, keys, subjects } from "../../protocol/subjects.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, logged, standing } from "../support/agent/orders.ts";
import { until } from "../support/until.ts";

const ORDERS = 2_000;
const LARGE = 20;
/** As much as a server takes as one message by default, with room for the subject. */
const LARGE_BYTES = 1_000_000;
/** What large values may leave behind, give or take what a garbage collection has not come to yet. */
const MEMORY = 24 * 1024 ** 2;

/** Resident memory of a process, in bytes. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) * 1024;
}

describe("values on the bus that nobody of slotd wrote", () => {
  const hosts = useHosts();

  const serving = async (): Promise<Host> => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("b", one);
    return host;
  };
  /** Puts values as anyone can who may write them. */
  const flood = async (host: Host, bucket: string, key: string, values: Iterable<string | Uint8Array>) => {
    const nc = await host.bus();
    for (const value of values) nc.publish(subjects.puts(bucket, key), value);
    await nc.flush();
  };

  it(`${ORDERS} malformed orders are told once and counted, and cost few reads, events and writes of the status`, async () => {
    const host = await serving();
    const before = await standing(host, "b");
    const nc = await host.bus();
    let statuses = 0;
    let events = 0;
    nc.subscribe(subjects.puts(buckets.hosts, keys.host("web", host.name)), { callback: () => void statuses++ });
    nc.subscribe("slotd.events.>", {
      callback: (_, message) => void (message.string().includes("MALFORMED") && events++),
    });
    await nc.flush();
    const key = keys.order("web", host.name, "a");
    await flood(
      host,
      buckets.orders,
      key,
      (function* () {
        for (let i = 1; i < ORDERS; i++) yield `{"id":"bad-${i}"`;
        yield '{"id":"the-last"}';
      })(),
    );
    await host.untilSlot("a", "the last one was refused", ({ refused }) => refused?.orderId === "the-last");
    assert(logged(host, { msg: "order was read" }).length < ORDERS / 10, "orders that were read");
    assert(logged(host, { msg: "order was refused" }).length <= 3, "refusals in the log");
    assert((await host.events()).filter(({ code }) => code === "ORDER_MALFORMED").length <= 3, "events");
    assert(events <= 3, `${events} events on the bus`);
    assert(statuses < ORDERS / 10, `${statuses} writes of the status`);
    const [two] = await appReleases(host, "2");
    assert(two);
    assert.equal((await host.installed("a", two)).version, "2", "a good order is carried out");
    assert.deepEqual(await standing(host, "b"), before);
  });

  it("large ones are not parsed, in any bucket that an agent reads, and leave little memory behind", async () => {
    const host = await serving();
    await host.endAgent("SIGUSR2");
    await host.startAgent();
    await host.untilState("b", "serving");
    await until("the agent has the bus", async () => (await host.status()).bus.connected);
    const before = memoryOf(host.agentPid);
    // Well-formed but for their size.
    const large = Array.from({ length: LARGE }, (_, i) =>
      JSON.stringify({ id: `large-${i}`, x: "x".repeat(LARGE_BYTES) }),
    );
    await flood(host, buckets.routes, keys.routes("web"), large);
    await flood(host, buckets.edges, keys.edge("web", "edge-1"), large);
    await flood(host, buckets.orders, keys.order("web", host.name, "a"), large);
    const { refused } = await host.untilSlot("a", "the order was refused", (slot) => slot.refused !== null);
    assert.equal(refused?.code, "ORDER_MALFORMED");
    assert.match(refused.message, /at most 262144 characters/);
    await until("the others were seen", () => logged(host, { msg: "routes are malformed; they are ignored" }).length);
    await until("edges", () => logged(host, { msg: "status of an edge is malformed; it is ignored" }).length);
    assert.equal(logged(host, { msg: "routes are malformed; they are ignored" }).length, 1);
    assert.equal(logged(host, { msg: "status of an edge is malformed; it is ignored" }).length, 1);
    let least = Number.POSITIVE_INFINITY;
    await until("memory is within its bound", async () => {
      least = Math.min(least, memoryOf(host.agentPid) - before);
      if (least <= MEMORY) return true;
      throw new Error(`${Math.round(least / 1024 ** 2)} MiB more than before`);
    });
  });
});
