import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { untilEvent } from "../support/agent/event-stream.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, logged, standing } from "../support/agent/orders.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";
import { mountTmpfs } from "./releases/support/tmpfs.ts";

/** What fills up → the options of a small file system, and how all of it is taken. */
const fills: Record<string, [options: string, fill: (directory: string) => void]> = {
  "out of space": ["mode=755,size=20m", fillSpace],
  "out of inodes": ["mode=755,size=64m,nr_inodes=100", fillInodes],
};

describe("a state directory that is", () => {
  const hosts = useHosts();
  const undo: (() => Promise<void>)[] = [];
  // After the hosts are gone.
  afterEach(async () => {
    for (const step of undo.splice(0)) await step();
  });

  async function smallHost(options: string): Promise<Host> {
    const directory = mkdtempSync(join(tmpdir(), "slotd-disk-"));
    const unmount = await mountTmpfs(directory, options);
    undo.push(async () => {
      await until("nobody uses the file system", () => unmount().then(() => true));
      rmSync(directory, { recursive: true });
    });
    const host = await hosts.create({ app: { workers: 2 }, releases: { fetch_attempts: 1 } });
    symlinkSync(directory, host.state);
    await host.startAgent();
    await until("the agent has the bus", async () => (await host.status()).bus.connected);
    return host;
  }

  const fillerOf = (host: Host) => join(host.state, "filler");

  for (const [what, [options, fill]] of Object.entries(fills)) {
    it(`${what} takes no order, says so, and serves on; the order is taken when there is room again`, async () => {
      const host = await smallHost(options);
      const [one, two] = await appReleases(host, "1", "2");
      assert(one && two);
      await host.installed("a", one);
      const before = await standing(host, "a");
      fill(fillerOf(host));

      const id = await host.install("a", two);

      const { lastError } = await host.untilSlot("a", "says that it can't", (slot) => slot.lastError !== null);
      assert.equal(lastError?.code, "JOURNAL_UNWRITABLE");
      assert.match(lastError.message, /ENOSPC|no space/);
      await untilEvent(host, "the journal can't be written", (event) => event.code === "JOURNAL_UNWRITABLE");
      assert(logged(host, { code: "JOURNAL_UNWRITABLE" }).length > 0);
      assert.deepEqual(await standing(host, "a"), before);
      assert.notEqual((await host.slot("a")).order?.id, id);
      assert.equal((await host.get("a")).version, "1");

      rmSync(fillerOf(host), { recursive: true });
      const slot = await host.untilOrder("a", id);
      assert.equal(slot.version, "2");
      assert.equal(slot.lastError, null);
    });

    it(`${what} fails an install that does not fit, and leaves what serves as it was`, async () => {
      const host = await smallHost(options);
      const [one] = await appReleases(host, "1");
      assert(one);
      await host.installed("a", one);
      const files = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${i}`, randomText(80_000)]));
      const large = await makeRelease(host.archives, "2", { files });
      const before = await standing(host, "a");
      const { order } = await host.untilOrder("a", await host.install("a", large));
      assert.equal(order?.outcome, "failed");
      assert.equal(order.error?.code, "DISK_FULL", order.error?.message);
      assert.deepEqual(await standing(host, "a"), before);
    });
  }

  it("full at the agent's start is no reason not to take over what runs, nor not to end", async () => {
    const host = await smallHost("mode=755,size=20m");
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    const pids = await host.pids("a");
    await host.killAgent();
    fillSpace(fillerOf(host));

    await host.startAgent();

    await host.untilState("a", "serving");
    assert.deepEqual(await host.pids("a"), pids);
    await until("it is in the serverset", async () => (await host.member("a"))?.status === "ALIVE");
    assert.equal(await host.endAgent("SIGTERM"), 0);
    await until("it is out of the serverset", async () => (await host.member("a")) === null);
  });
});

function fillSpace(path: string): void {
  const fd = openSync(path, "w");
  try {
    for (const size of [64 * 1024, 1024, 1]) {
      try {
        for (;;) writeSync(fd, Buffer.alloc(size));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      }
    }
  } finally {
    closeSync(fd);
  }
}

function fillInodes(path: string): void {
  try {
    mkdirSync(path);
    for (let i = 0; ; i++) writeFileSync(join(path, String(i)), "");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}

function randomText(bytes: number): string {
  return randomBytes(bytes).toString("latin1");
}
