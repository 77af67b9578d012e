import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Event } from "../../protocol/event.ts";
import { untilEvent } from "../support/agent/event-stream.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, logged } from "../support/agent/orders.ts";

/** What befell the journal → how. */
const damage: Record<string, (good: string) => string> = {
  "is empty": () => "",
  "breaks off": (good) => good.slice(0, good.length / 2),
  "is not JSON": () => "\u0000\u0001 not a journal",
  "is of another format": (good) => good.replace('"format":1', '"format":0'),
  "breaks a rule inside": (good) => good.replace('"proven":true', '"proven":"yes"'),
};

describe("an agent whose journal", () => {
  const hosts = useHosts();

  async function serving(): Promise<{ host: Host; path: string; pids: number[][] }> {
    const host = await hosts.start();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    await host.installed("b", two);
    const pids = [await host.pids("a"), await host.pids("b")];
    await host.killAgent();
    return { host, path: join(host.state, "journal.json"), pids };
  }

  for (const [what, spoil] of Object.entries(damage)) {
    it(`${what} sets it aside loudly, knows what runs by the processes, and gets its orders from the bus`, async () => {
      const { host, path, pids } = await serving();
      const spoiled = spoil(readFileSync(path, "utf8"));
      writeFileSync(path, spoiled);

      await host.startAgent();

      const { lastError } = await host.status();
      assert.equal(lastError?.code, "JOURNAL_CORRUPT");
      const aside = readdirSync(host.state).find((name) => name.startsWith("journal.json.corrupt-"));
      assert(aside && lastError.message.includes(aside), "the file is kept, and the error says where");
      assert.equal(readFileSync(join(host.state, aside), "utf8"), spoiled);
      assert.equal(logged(host, { code: "JOURNAL_CORRUPT", level: 50 }).length, 1);
      const isIt = (event: Event) => event.code === "JOURNAL_CORRUPT" && event.slot === "-";
      await untilEvent(host, "the journal was set aside", isIt);
      for (const [i, slot] of ["a", "b"].entries()) {
        const { version } = await host.untilSlot(slot, "has its order again", (s) => s.order?.outcome === "done");
        assert.equal(version, String(i + 1));
        assert.deepEqual(await host.pids(slot), pids[i]);
        assert.equal((await host.member(slot))?.metadata.version, String(i + 1));
      }
    });
  }

  it("is gone leaves the workers that it finds alone", async () => {
    const { host, path, pids } = await serving();
    rmSync(path);
    await host.startAgent();
    await host.untilSlot("a", "has its order again", ({ order }) => order?.outcome === "done");
    await host.untilSlot("b", "has its order again", ({ order }) => order?.outcome === "done");
    assert.deepEqual([await host.pids("a"), await host.pids("b")], pids);
  });

  it("is lost with the bus away brings up what runs, and nothing else", async () => {
    const { host, path, pids } = await serving();
    writeFileSync(path, "{");
    host.configure({ nats: { servers: ["nats://127.0.0.1:1"] } });
    await host.startAgent();
    const a = await host.untilState("a", "serving");
    assert.equal(a.version, "1");
    assert.equal(a.order, null);
    assert.deepEqual([await host.pids("a"), await host.pids("b")], pids);
    assert.equal((await host.get("a")).version, "1");
  });
});
