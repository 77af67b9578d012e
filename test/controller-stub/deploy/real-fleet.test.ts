import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { ensureAll } from "../../../bus/buckets.ts";
import { publishRelease } from "../../../controller-stub/publish/releases.ts";
import type { Host } from "../../support/agent/host.ts";
import { useHosts } from "../../support/agent/hosts.ts";
import { Edge } from "../../support/edge.ts";
import { Load } from "../../support/load/load.ts";
import { makeRelease } from "../../support/release.ts";
import { until } from "../../support/until.ts";
import { type Ended, endAll, run } from "../cli.ts";
import { connectTo } from "../fake-host.ts";

/** It runs, and never takes a request. */
const NEVER_READY = "setInterval(() => {}, 1000);";
const BUSY_MS = 60_000;

describe("a fleet of real agents, behind a real edge", () => {
  const hosts = useHosts();
  afterEach(endAll);

  /** Three hosts and an edge, with A as the previous version and B as the default. */
  async function fleet() {
    const { nats } = hosts;
    const bus = await connectTo(nats.url);
    hosts.onEnd(() => bus.close());
    await ensureAll(bus);
    const settings = { app: { workers: 2 }, readiness: { timeout_ms: 10_000 } };
    const start = async (number: number) => {
      const host = await hosts.create(settings, { bind: `127.0.1.${number}`, name: `h${number}` });
      host.spawnAgent();
      const isUp = async () => (await host.status()).bus.connected;
      await until("the agent answers, and has the bus", isUp);
      return host;
    };
    const all = await Promise.all([1, 2, 3].map(start));
    const edge = await Edge.start({ nats: nats.url });
    hosts.onEnd(() => edge.close());
    await edge.untilStatus("it is there", () => true, BUSY_MS);

    const publish = async (version: string, content: Parameters<typeof makeRelease>[2] = { app: "app.mjs" }) => {
      const { url } = await makeRelease(all[0]?.archives ?? "", version, content);
      await publishRelease(bus, { service: "web", version, file: fileURLToPath(url) });
    };
    const order = async (verb: string, ...args: string[]) =>
      run(nats.url, verb, "web", "--timeout", String(BUSY_MS), ...args, "--json");
    for (const version of ["A", "B"]) {
      await publish(version);
      assertDone(await order("deploy", version, "--wave", "100%"));
    }
    return { all, edge, publish, order };
  }

  it("deploys and rolls back under load without a failed request, serves on where a version never gets ready, and empties itself", async () => {
    const { all, edge, publish, order } = await fleet();
    const before = await pidsOf(all, "B");
    const load = [loadOn(edge, "GET", true), loadOn(edge, "POST", false)];
    hosts.onEnd(() => Promise.all(load.map((each) => each.stop())));

    await publish("C");
    assertDone(await order("deploy", "C", "--wave", "1"));
    assert.equal(await answersOf(edge), "C");
    assert.equal(await answersOf(edge, "B"), "B", "whoever has a page of B goes on with B");
    assert.deepEqual(await pidsOf(all, "B"), before);
    await untilAnswered(load, "C");

    assertDone(await order("rollback"), "rolledBack");
    assert.equal(await answersOf(edge), "B");
    assert.deepEqual(await pidsOf(all, "B"), before);
    const answered = load.map(({ requests }) => requests);
    await until("some more requests", () => load.every(({ requests }, at) => requests > (answered[at] ?? 0) + 20));

    await Promise.all(load.map((each) => each.stop()));
    assert.deepEqual(
      load.flatMap(({ failures }) => failures),
      [],
    );
    for (const { versions } of load) assert.deepEqual([...versions.keys()].sort(), ["B", "C"]);

    await publish("D", { files: { "app.mjs": NEVER_READY } });
    const halted = await order("deploy", "D", "--wave", "1");
    const { error, failures, step } = halted.json();
    assert.deepEqual([halted.code, error.code, step], [1, "HOSTS_FAILED", "installing"], halted.stderr);
    assert.deepEqual([failures.length, failures[0].host, failures[0].code], [1, "h1", "NOT_ACCEPTING"]);
    assert.deepEqual([await answersOf(edge), await answersOf(edge, "C")], ["B", "B"]);

    assertDone(await order("rollback"), "rolledBack");
    assert.deepEqual([await answersOf(edge), await answersOf(edge, "C")], ["B", "C"]);
    assert.deepEqual(await pidsOf(all, "B"), before);

    assertDone(await order("shutdown", "C", "--wave", "100%"));
    assert.deepEqual([await answersOf(edge), await answersOf(edge, "C")], ["B", "B"]);
    assert.deepEqual((await pidsOf(all, "C")).flat(), []);
    assert.equal((await order("shutdown", "B")).json().error.code, "VERSION_IN_USE");
    assert.deepEqual(await pidsOf(all, "B"), before);
    assertDone(await order("force-shutdown", "B", "--reason", "it leaks"));
    assert.deepEqual((await pidsOf(all, "B")).flat(), []);
    assert.ok((await fetch(edge.url)).status >= 500);
  });
});

function assertDone(ended: Ended, outcome = "done"): void {
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(ended.json().outcome, outcome);
}

/** The workers of a version on each host. */
function pidsOf(hosts: readonly Host[], version: string): Promise<number[][]> {
  return Promise.all(
    hosts.map(async (host) => {
      const slot = Object.values((await host.status()).slots).find((each) => each.version === version);
      return slot === undefined ? [] : host.pids(slot.slot);
    }),
  );
}

/** The version that answers whoever asks for one, or for none. */
async function answersOf(edge: Edge, version?: string): Promise<string | null> {
  const headers = version === undefined ? {} : { "x-app-version": version };
  const response = await fetch(edge.url, { headers });
  await response.arrayBuffer();
  assert.equal(response.status, 200);
  return response.headers.get("x-app-version");
}

/** Two users who ask for nothing in particular, some tens of times a second. */
function loadOn(edge: Edge, method: "GET" | "POST", keepAlive: boolean): Load {
  const { hostname, port } = new URL(edge.url);
  const target = () => ({ host: hostname, port: Number(port) });
  return new Load({ target, clients: 2, method, keepAlive, path: "/slow?ms=20" });
}

function untilAnswered(load: readonly Load[], version: string): Promise<unknown> {
  return until(`${version} answers`, () =>
    load.every(({ versions, requests }) => versions.has(version) && requests > 100),
  );
}
