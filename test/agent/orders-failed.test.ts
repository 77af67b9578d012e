import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Release } from "../../protocol/release.ts";
import { untilEvent } from "../support/agent/event-stream.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, logged, standing } from "../support/agent/orders.ts";
import { freePorts } from "../support/ports.ts";
import { describeArchive, makeRelease } from "../support/release.ts";
import { tarGzOf } from "./releases/support/tar-builder.ts";

/** What is wrong with a release, the worst last → its code, and how it is made of a good one. */
const bad: Record<string, [code: string, make: (good: Release, host: Host) => Release | Promise<Release>]> = {
  "has another digest": ["DIGEST_MISMATCH", (good) => ({ ...good, sha256: "f".repeat(64) })],
  "has another size": ["SIZE_MISMATCH", (good) => ({ ...good, sizeBytes: good.sizeBytes + 1 })],
  "is not at its address": ["RELEASE_NOT_FOUND", (good) => ({ ...good, url: `${good.url}.gone` })],
  "is no object of the bus": [
    "RELEASE_NOT_FOUND",
    (good) => ({ ...good, url: "nats-object://slotd-releases/web/none" }),
  ],
  "is in no bucket of the bus": ["RELEASE_NOT_FOUND", (good) => ({ ...good, url: "nats-object://nowhere/web/none" })],
  "is at an address where nobody answers": [
    "RELEASE_UNREACHABLE",
    async (good) => ({ ...good, url: `http://127.0.0.1:${(await freePorts(1))[0]}/r.tgz` }),
  ],
  "is larger than the host allows": ["RELEASE_TOO_LARGE", (good) => ({ ...good, sizeBytes: 3_000_000 })],
  "unpacks to more than the host allows": [
    "RELEASE_TOO_LARGE",
    (good, host) => makeRelease(host.archives, good.version, { files: { zeros: "0".repeat(5_000_000) } }),
  ],
  "would be written outside": [
    "ARCHIVE_UNSAFE",
    (good, host) => archive(host, good.version, tarGzOf([{ path: "../outside", content: "x" }])),
  ],
  "breaks off": [
    "ARCHIVE_CORRUPT",
    (good, host) => archive(host, good.version, tarGzOf([{ path: "a", content: "x" }]).subarray(0, 40)),
  ],
  "has no app in it": [
    "WORKERS_EXITED",
    (good, host) => makeRelease(host.archives, good.version, { files: { a: "x" } }),
  ],
};

function archive(host: Host, version: string, bytes: Buffer): Release {
  const path = join(host.archives, `${version}-bad.tgz`);
  writeFileSync(path, bytes);
  return describeArchive(version, path);
}

describe("an install that can't succeed", () => {
  const hosts = useHosts();
  const settings = {
    app: { workers: 2, restart_backoff_min_ms: 10 },
    releases: { max_archive_bytes: 2_000_000, max_unpacked_bytes: 4_000_000, fetch_attempts: 2 },
  };

  async function failed(host: Host, slot: string, release: Release, code: string): Promise<void> {
    const id = await host.install(slot, release);
    const { order, lastError } = await host.untilOrder(slot, id);
    assert.equal(order?.outcome, "failed");
    assert.equal(order.error?.code, code, order.error?.message);
    assert.equal(lastError?.code, code);
    assert.equal(lastError?.orderId, id);
    await untilEvent(host, code, (event) => event.kind === "error" && event.code === code && event.orderId === id);
    await untilEvent(
      host,
      "the outcome",
      (event) => event.kind === "order" && event.code === code && event.orderId === id,
    );
    assert(logged(host, { code, orderId: id, msg: "step failed" }).length > 0, "it is in the log");
  }

  it("is told with its code, and what serves in both slots is as it was", async () => {
    const host = await hosts.start(settings);
    const [one, two, next] = await appReleases(host, "1", "2", "3");
    assert(one && two && next);
    await host.installed("a", one);
    await host.installed("b", two);
    const before = [await standing(host, "a"), await standing(host, "b")];
    for (const [code, make] of Object.values(bad).filter(([code]) => code !== "WORKERS_EXITED")) {
      await failed(host, "a", await make(next, host), code);
      assert.deepEqual([await standing(host, "a"), await standing(host, "b")], before, code);
      assert.equal((await host.slot("a")).progress, null);
    }
    // Nothing of all that is in the way of a good one.
    assert.equal((await host.installed("a", next)).version, "3");
  });

  it("leaves an empty slot failed, with nothing running, until a good one comes", async () => {
    const host = await hosts.start(settings);
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    for (const [code, make] of Object.values(bad)) {
      await failed(host, "a", await make(one, host), code);
      assert.equal((await host.slot("a")).state, "failed");
      assert.deepEqual(await host.pids("a"), []);
      assert.equal(await host.member("a"), null);
    }
    assert.equal((await host.installed("a", two)).state, "serving");
  });

  it("is refused where the version is on the host with another content", async () => {
    const host = await hosts.start(settings);
    const [one] = await appReleases(host, "1");
    const other = await makeRelease(host.archives, "1", { files: { "app.mjs": "// another content" } });
    assert(one);
    await host.installed("a", one);
    const before = await standing(host, "a");
    await failed(host, "b", other, "DIGEST_MISMATCH");
    assert.deepEqual(await standing(host, "a"), before);
  });

  it("is one for a release at an address with a password, which nobody gets to see", async () => {
    const host = await hosts.start(settings);
    const [one] = await appReleases(host, "1");
    assert(one);
    const [port] = await freePorts(1);
    const id = await host.install("a", { ...one, url: `http://anna:hunter2@127.0.0.1:${port}/r.tgz?sig=hunter3` });
    await host.untilOrder("a", id);
    const shown = JSON.stringify([await host.status(), await host.events()]) + host.log();
    assert(!/hunter[23]/.test(shown));
  });
});

describe("removing a version", () => {
  const hosts = useHosts();

  it("leaves its files where the other slot runs it too", async () => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    await host.installed("b", one);
    const before = await standing(host, "b");
    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.deepEqual(await standing(host, "b"), before);
    await host.do("restart", "b");
    await host.untilSlot(
      "b",
      "was restarted from its files",
      ({ workers }) => workers.restarts === 2 && workers.ready === 2,
    );
    assert.equal((await host.get("b")).version, "1");
  });

  it("is done at once where the slot is empty", async () => {
    const host = await hosts.start();
    const slot = await host.untilOrder("a", await host.uninstall("a", "9"));
    assert.equal(slot.order?.outcome, "done");
    assert.equal(slot.state, "empty");
  });

  it("goes without a drain where it is forced, and records why", async () => {
    const host = await hosts.start({ app: { stop_grace_ms: 100 } });
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    const slow = host.get("a", "/slow?ms=60000").catch(() => null);
    await host.untilSlot("a", "has a request in flight", ({ connections }) => connections?.inFlight === 1);
    const id = await host.uninstall("a", "1", { force: true, reason: "it leaks" });
    const { order, lastDrain } = await host.untilOrder("a", id);
    await slow;
    assert.equal(order?.outcome, "done");
    assert.equal(lastDrain?.idle, "forced");
    assert.equal(lastDrain.reason, "it leaks");
    assert.equal(lastDrain.cutRequests, 1);
  });
});
