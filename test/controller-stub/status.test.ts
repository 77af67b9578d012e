import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import pc from "picocolors";
import { openBucket } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import { changesBetween } from "../../controller-stub/terminal/host-changes.ts";
import { formatAge, formatBytes, statusTable } from "../../controller-stub/terminal/render.ts";
import { buckets } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { endAll, run, start } from "./cli.ts";
import { connectTo, hostStatus, report, slotStatus } from "./fake-host.ts";

let nats: NatsServer;
let bus: BusSession;

describe("slotd-controller status and watch", () => {
  before(async () => {
    nats = await startNats();
    bus = await connectTo(nats.url);
  });
  afterEach(endAll);
  after(async () => {
    await bus?.close();
    await nats?.stop();
  });

  it("the table has a row per slot, and marks what is older than 15 s as stale", () => {
    const now = Date.parse("2026-01-01T00:01:00.000Z");
    const error = { code: "NOT_READY", message: "no" };
    const order = { id: "o", epoch: 1, action: "install", version: "1.0", outcome: "failed", error } as const;
    const serving = slotStatus("a", {
      state: "serving",
      version: "1.0",
      workers: { wanted: 4, alive: 4, ready: 3, restarts: 0 },
      connections: { open: 7, inFlight: 2 },
      progress: { step: "fetch", done: 50, total: 200, unit: "bytes" },
    });
    const at = (seconds: number) => ({ observedAt: new Date(now - seconds * 1000).toISOString() });
    const statuses = [
      hostStatus("web", "h1", { ...at(15), slots: { b: slotStatus("b", { state: "failed", order }), a: serving } }),
      hostStatus("web", "h2", { ...at(16), slots: { a: slotStatus("a") } }),
      hostStatus("web", "h3", { ...at(-5), slots: {} }),
    ];
    const rows = statusTable(statuses, now, pc.createColors(false)).split("\n");
    assert.deepEqual(
      rows.map((row) => row.split(/\s{2,}/)),
      [
        ["HOST", "SLOT", "STATE", "VERSION", "PORT", "READY", "CONNS", "ORDER", "AGE"],
        ["h1", "a", "serving fetch 25% (50 B of 200 B)", "1.0", "8000", "3/4", "7 (2 busy)", "-", "15s"],
        ["h1", "b", "failed", "-", "8001", "0/4", "-", "failed NOT_READY", "15s"],
        ["h2", "a", "empty", "-", "8000", "0/4", "-", "-", "16s stale"],
        ["h3", "-", "-", "-", "-", "-", "-", "-", "0s"],
      ],
    );
  });

  it("status shows the hosts of the service alone, without colours where there is no terminal", async () => {
    await report(bus, hostStatus("web", "h1"));
    await report(bus, hostStatus("web", "h2", { observedAt: "2026-01-01T00:00:00.000Z" }));
    await report(bus, hostStatus("web-api", "h3"));
    const table = await run(nats.url, "status", "web");
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, /^h1 .*\ds$/m);
    assert.match(table.stdout, /^h2 .* stale$/m);
    assert.doesNotMatch(table.stdout, /h3|\[\d+m/);
    const json = (await run(nats.url, "status", "web", "--json")).json();
    assert.deepEqual(
      json.hosts.map((host: { host: string }) => host.host),
      ["h1", "h2"],
    );
    assert.deepEqual(json.stale, ["h2"]);
  });

  it("a status that can't be read is named and left out, and a deleted one is gone", async () => {
    const kv = await openBucket(bus, buckets.hosts);
    await report(bus, hostStatus("odd", "h1"));
    await kv.put("odd.h2", "{}");
    await kv.put("odd.h3", "nonsense");
    await report(bus, hostStatus("odd", "h4"));
    await kv.delete("odd.h4");
    const { code, stderr, json } = await run(nats.url, "status", "odd", "--json");
    assert.equal(code, 0);
    assert.deepEqual(
      json().hosts.map((host: { host: string }) => host.host),
      ["h1"],
    );
    assert.match(stderr, /warning: left out the status under odd\.h2: service/);
    assert.match(stderr, /warning: left out the status under odd\.h3: must be JSON/);
  });

  it("a service that nothing is known of is an error, with the name that was meant", async () => {
    await report(bus, hostStatus("webshop", "h1"));
    for (const verb of ["status", "hosts", "edges", "revisions"]) {
      const { code, json, stderr } = await run(nats.url, verb, "wbshop", "--json");
      assert.deepEqual([code, json().error.code], [1, "SERVICE_UNKNOWN"], verb);
      assert.match(stderr, /nothing on the bus is about wbshop; did you mean webshop\?/);
    }
    const far = await run(nats.url, "status", "nosuch");
    assert.match(far.stderr, /nothing on the bus is about nosuch; known services: .*webshop/);
  });

  it("a service without hosts, of which something else is known, is none", async () => {
    await (await openBucket(bus, buckets.routes)).put("hostless", "{}");
    const { code, stdout } = await run(nats.url, "hosts", "hostless");
    assert.deepEqual([code, stdout], [0, "no host of hostless has reported in the last day"]);
  });

  it("hosts shows where the default version lacks ready workers", async () => {
    const workers = { wanted: 4, alive: 4, ready: 1, restarts: 0 };
    const slots = { a: slotStatus("a", { state: "serving", version: "2", workers }), b: slotStatus("b") };
    await report(bus, hostStatus("sick", "h1", { slots, warnings: ["the disk is slow"] }));
    const routes = { epoch: 1, revision: 1, mode: "atomic", default: "2", serving: ["2"] };
    await (await openBucket(bus, buckets.routes)).put("sick", JSON.stringify(routes));
    assert.match((await run(nats.url, "hosts", "sick")).stdout, /^h1 .* default 2: 1 of 4 ready, 1$/m);
  });

  it("status --watch shows what is reported after it began", async () => {
    const watching = start(nats.url, ["status", "growing", "--watch"]);
    await watching.line(/no host of growing/);
    await report(bus, hostStatus("growing", "h1"));
    await watching.line(/^h1 /);
    watching.child.kill("SIGTERM");
    assert.equal((await watching.ended).code, 143);
  });

  it("watch prints the present state, then each change, as JSON lines with --json", async () => {
    await report(bus, hostStatus("watched", "h1", { slots: { a: slotStatus("a") } }));
    const watching = start(nats.url, ["watch", "watched", "--json"]);
    assert.equal(JSON.parse(await watching.line(/./)).state, "empty");
    const progress = { step: "fetch", done: 1, total: 2, unit: "bytes" } as const;
    await report(bus, hostStatus("watched", "h1", { slots: { a: slotStatus("a", { state: "fetching", progress }) } }));
    assert.equal(JSON.parse(await watching.line(/./)).state, "fetching");
    assert.deepEqual(JSON.parse(await watching.line(/./)).progress, progress);
    watching.child.kill("SIGINT");
    assert.equal((await watching.ended).code, 130);
  });

  it("watch ends by itself when its time is over", async () => {
    assert.equal((await run(nats.url, "watch", "watched", "--timeout", "300")).code, 0);
  });

  it("a status that says the same again is no change", () => {
    const order = { id: "o", epoch: 1, action: "install", version: "1.0", outcome: "pending" } as const;
    const refused = { code: "STALE_EPOCH", message: "old", orderId: "p" };
    const before = hostStatus("web", "h1", { slots: { a: slotStatus("a", { order, refused }) } });
    assert.deepEqual(
      changesBetween(undefined, before).map((change) => change.kind),
      ["state", "outcome", "refused"],
    );
    assert.deepEqual(changesBetween(before, { ...before, observedAt: "2026-01-01T00:00:00.000Z" }), []);
    const done = slotStatus("a", { state: "serving", version: "1.0", refused, order: { ...order, outcome: "done" } });
    assert.deepEqual(
      changesBetween(before, { ...before, slots: { a: done } }).map(({ kind, version }) => [kind, version]),
      [
        ["state", "1.0"],
        ["outcome", "1.0"],
      ],
    );
  });

  it("sizes and ages are short", () => {
    assert.deepEqual([0, 999, 1000, 4_821_034, 3e15].map(formatBytes), [
      "0 B",
      "999 B",
      "1.0 kB",
      "4.8 MB",
      "3000.0 TB",
    ]);
    assert.deepEqual([0, 119_999, 120_000, 7_199_000, 7_200_000].map(formatAge), ["0s", "119s", "2m", "119m", "2h"]);
  });
});
