import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { pino } from "pino";
import { Applier } from "../../edge/applier.ts";
import { type ManagedProxy, ProxyDownError, ProxyRejectedError } from "../../edge/proxies/contract.ts";
import type { Table } from "../../edge/table/table.ts";
import { allTo } from "../../edge/table/unnamed.ts";
import { until } from "../support/until.ts";

function table(version: string, revision: number): Table {
  const endpoints = [{ id: "prod.h1.a", stage: "prod", address: "127.0.3.1", port: 8000, weight: 1 }];
  const routing = { unnamed: allTo(version), fallback: null, versions: [{ version, endpoints }] };
  return { service: "web", epoch: 1, routesRevision: revision, serversetsRevision: revision, ...routing };
}

/** A proxy that the test controls. */
class ControlledProxy implements ManagedProxy {
  readonly kind = "controlled";
  readonly applied: Table[] = [];
  current = true;
  fails: Error | null = null;
  refused = 0;
  atOnce = 0;
  most = 0;
  gate: Promise<void> = Promise.resolve();
  kept = 0;
  keeps: () => Promise<void> = async () => {};

  async apply(given: Table): Promise<void> {
    this.most = Math.max(this.most, ++this.atOnce);
    await this.gate;
    this.atOnce--;
    if (this.fails) {
      this.refused++;
      throw this.fails;
    }
    this.applied.push(given);
    this.current = true;
  }

  async persist(): Promise<void> {
    await this.keeps();
    this.kept++;
  }

  async isCurrent(): Promise<boolean> {
    if (this.fails instanceof ProxyDownError) throw this.fails;
    return this.current;
  }

  async close(): Promise<void> {}
}

describe("applying tables to a proxy", () => {
  const appliers: Applier[] = [];
  afterEach(async () => {
    for (const applier of appliers.splice(0)) await applier.stop();
  });

  function start() {
    const proxy = new ControlledProxy();
    const written: Table[] = [];
    const applier = new Applier(proxy, async (given) => void written.push(given), pino({ level: "silent" }));
    appliers.push(applier);
    applier.start();
    const acknowledged = (revision: number) =>
      until(`revision ${revision} is applied`, () => applier.applied?.routesRevision === revision);
    return { proxy, applier, written, acknowledged };
  }

  it("applies one table at a time, and skips overtaken ones", async () => {
    const { proxy, applier, acknowledged } = start();
    let open = () => {};
    proxy.gate = new Promise((resolve) => {
      open = resolve;
    });
    for (let i = 1; i <= 5; i++) {
      applier.want(table(`V${i}`, i));
      if (i === 1) await until("the first is under way", () => proxy.atOnce === 1);
    }
    assert.equal(applier.applied, null, "not before the proxy has it");
    open();
    await acknowledged(5);
    assert.deepEqual([proxy.applied.map(({ routesRevision }) => routesRevision), proxy.most], [[1, 5], 1]);
  });

  it("acknowledges a table that routes alike without asking the proxy, and writes its routes to disk", async () => {
    const { proxy, applier, written, acknowledged } = start();
    applier.want(table("A", 1));
    await acknowledged(1);
    applier.want(table("A", 2));
    await acknowledged(2);
    assert.deepEqual([proxy.applied.length, written.length], [1, 2]);
  });

  it("acknowledges a table only when it is on disk, for the proxy and for the edge", async () => {
    const { proxy, applier, written, acknowledged } = start();
    let onDisk = () => {};
    proxy.keeps = () => new Promise((resolve) => (onDisk = resolve));
    applier.want(table("A", 1));
    await until("the edge wrote it", () => written.length === 1);
    assert.deepEqual([proxy.applied.length, proxy.kept, applier.applied], [1, 0, null]);
    onDisk();
    await acknowledged(1);
  });

  it("acknowledges nothing if the proxy's table can't be written to disk, and goes back only by asking the proxy", async () => {
    const { proxy, applier, acknowledged } = start();
    applier.want(table("A", 1));
    await acknowledged(1);
    proxy.keeps = () => Promise.reject(new Error("no space left on device"));
    applier.want(table("B", 2));
    await until("it says why", () => applier.problem !== null);
    assert.equal(applier.applied, null, "neither the one nor the other");
    proxy.keeps = async () => {};
    applier.want(table("A", 3));
    await acknowledged(3);
    assert.deepEqual([proxy.applied.length > 2, proxy.applied.at(-1)?.unnamed], [true, allTo("A")]);
  });

  it("keeps the old table if a new one is rejected, and tries at once with the next", async () => {
    const { proxy, applier, acknowledged } = start();
    applier.want(table("A", 1));
    await acknowledged(1);
    proxy.fails = new ProxyRejectedError("no such syntax");
    applier.want(table("B", 2));
    await until("it was tried three times", () => proxy.refused === 3);
    assert.deepEqual([applier.problem?.code, applier.applied?.routesRevision], ["PROXY_REJECTED", 1]);
    proxy.fails = null;
    const began = performance.now();
    applier.want(table("C", 3));
    await acknowledged(3);
    assert(performance.now() - began < 1_000, "at once, and not after the pause, which is longer by now");
    assert.equal(applier.problem, null);
  });

  it("retries a rejected table", async () => {
    const { proxy, applier, acknowledged } = start();
    proxy.fails = new ProxyRejectedError("not now");
    applier.want(table("A", 1));
    await until("it says why", () => applier.problem !== null);
    proxy.fails = null;
    await acknowledged(1);
  });

  it("acknowledges nothing while the proxy is down, and applies the newest table when it is back", async () => {
    const { proxy, applier, acknowledged } = start();
    applier.want(table("A", 1));
    await acknowledged(1);
    proxy.fails = new ProxyDownError("connection refused");
    await until("nothing is acknowledged", () => applier.applied === null && applier.problem?.code === "PROXY_DOWN");
    applier.want(table("B", 2));
    applier.want(table("C", 3));
    proxy.fails = null;
    await acknowledged(3);
    assert.deepEqual([proxy.applied.map(({ routesRevision }) => routesRevision), applier.problem], [[1, 3], null]);
  });

  it("applies its table again if the proxy no longer runs with it", async () => {
    const { proxy, applier, acknowledged } = start();
    applier.want(table("A", 1));
    await acknowledged(1);
    proxy.current = false;
    await until("it is applied again", () => proxy.applied.length === 2);
    await acknowledged(1);
  });
});
