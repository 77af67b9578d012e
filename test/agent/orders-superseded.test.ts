import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type GatedSource, startGatedSource } from "../support/agent/gated-source.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, standing } from "../support/agent/orders.ts";
import { fixtureApps, makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

describe("an order that comes while another is under way", () => {
  const hosts = useHosts();
  let source: GatedSource;
  before(async () => {
    source = await startGatedSource();
  });
  after(() => source.close());

  async function outcomeOf(host: Host, id: string): Promise<string | undefined> {
    const journal = JSON.parse(await readFile(join(host.state, "journal.json"), "utf8"));
    const all = Object.values(journal.slots as Record<string, { history: { id: string; outcome: string }[] }>);
    return all.flatMap(({ history }) => history).find((entry) => entry.id === id)?.outcome;
  }

  const installedReleases = async (host: Host) => (await readdir(join(host.state, "releases"))).sort();

  it("takes the place of one whose archive is being fetched; what serves was never touched", async () => {
    const host = await hosts.start();
    const [one, two, three] = await appReleases(host, "1", "2", "3");
    assert(one && two && three);
    await host.installed("a", one);
    const standingBefore = await standing(host, "a");
    const slow = await host.install("a", source.serve(two));
    await host.untilSlot("a", "is fetching", ({ progress }) => progress?.step === "fetching" && progress.done > 0);
    assert.deepEqual(await standing(host, "a"), standingBefore);

    const slot = await host.installed("a", three);

    assert.equal(slot.version, "3");
    assert.equal(await outcomeOf(host, slow), "superseded");
    assert.deepEqual(await installedReleases(host), ["3"]);
  });

  it("may be a rollback to what serves: the same processes serve on", async () => {
    const host = await hosts.start();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    const pids = await host.pids("a");
    await host.install("a", source.serve(two));
    await host.untilSlot("a", "is fetching", ({ progress }) => progress?.step === "fetching" && progress.done > 0);

    await host.installed("a", one);

    assert.deepEqual(await host.pids("a"), pids);
    await until("nothing of the other is left", async () => (await installedReleases(host)).join() === "1");
  });

  it("may take back the install that is on its way: what serves stays, and is not what an uninstall removes", async () => {
    const host = await hosts.start();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    const standingBefore = await standing(host, "a");
    await host.install("a", source.serve(two));
    await host.untilSlot("a", "is fetching", ({ progress }) => progress?.step === "fetching" && progress.done > 0);

    const slot = await host.untilOrder("a", await host.uninstall("a", "2"));

    assert.equal(slot.order?.outcome, "done");
    assert.deepEqual(await standing(host, "a"), standingBefore);
  });

  it("takes the place of one whose workers are not ready yet", async () => {
    const gate = join(hosts.nats.url.replace(/\W/g, ""), "never");
    const host = await hosts.start({ app: { environment: { GATE: gate } } });
    const app = await readFile(join(fixtureApps, "gated.mjs"), "utf8");
    const waits = await makeRelease(host.archives, "1", { files: { "app.mjs": app } });
    const [two] = await appReleases(host, "2");
    assert(two);
    const first = await host.install("a", waits);
    await host.untilSlot("a", "has its workers", ({ state, workers }) => state === "starting" && workers.alive === 2);

    const slot = await host.installed("a", two);

    assert.equal(slot.version, "2");
    assert.equal(await outcomeOf(host, first), "superseded");
    assert.deepEqual(await installedReleases(host), ["2"]);
    assert.equal(
      (await host.workers("a")).every(({ version }) => version === "2"),
      true,
    );
  });

  it("takes the place of one that drains, and is one for what drains: it serves on with the same processes", async () => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    const pids = await host.pids("a");
    const slow = host.get("a", "/slow?ms=3000");
    await host.untilSlot("a", "has a request in flight", ({ connections }) => connections?.inFlight === 1);
    await host.uninstall("a", "1");
    await host.untilState("a", "draining");

    await host.installed("a", one);

    assert.deepEqual(await host.pids("a"), pids);
    await until("it is in the serverset", async () => (await host.member("a"))?.status === "ALIVE");
    await slow;
  });

  it("leaves nothing on the disk of one whose release was there already", async () => {
    const host = await hosts.start();
    const [one, two, three] = await appReleases(host, "1", "2", "3");
    assert(one && two && three);
    await host.installed("a", one);
    const slow = host.get("a", "/slow?ms=1500");
    await host.untilSlot("a", "has a request in flight", ({ connections }) => connections?.inFlight === 1);
    await host.install("a", two);
    await host.untilState("a", "draining");
    assert.deepEqual(await installedReleases(host), ["1", "2"]);

    await host.installed("a", three);

    assert.equal((await slow).version, "1");
    assert.deepEqual(await installedReleases(host), ["3"]);
  });

  it("is taken up after the workers of the version before are gone, where these were just being ended", async () => {
    const host = await hosts.start();
    const app = await readFile(join(fixtureApps, "app.mjs"), "utf8");
    const inNoHurry = app.replace("server.close();", "setTimeout(() => server.close(), 700);");
    const one = await makeRelease(host.archives, "1", { files: { "app.mjs": inNoHurry } });
    const [two] = await appReleases(host, "2");
    assert(two);
    await host.installed("a", one);
    await host.uninstall("a", "1");
    await host.untilState("a", "stopping");

    const slot = await host.installed("a", two);

    assert.equal(slot.version, "2");
    assert.equal(slot.lastError, null);
  });

  it("is not held up by the other slot's", async () => {
    const host = await hosts.start();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    const slow = await host.install("a", source.serve(one));
    await host.untilSlot("a", "is fetching", ({ progress }) => progress?.step === "fetching" && progress.done > 0);
    await host.installed("b", two);
    assert.equal((await host.slot("a")).state, "fetching");
    source.open();
    assert.equal((await host.untilOrder("a", slow)).order?.outcome, "done");
  });

  it("is found at the agent's start, where it was put while the agent was away", async () => {
    const host = await hosts.start();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    await host.installed("b", one);
    const pids = await host.pids("b");
    await host.killAgent();
    const id = await host.install("a", two);
    await host.startAgent();
    assert.equal((await host.untilOrder("a", id)).version, "2");
    assert.deepEqual(await host.pids("b"), pids);
  });
});
