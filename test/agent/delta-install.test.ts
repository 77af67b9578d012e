import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { useHosts } from "../support/agent/hosts.ts";
import { logged } from "../support/agent/orders.ts";
import { fixtureApps } from "../support/release.ts";
import { ballast, entriesOf, packTree } from "./releases/support/packing.ts";

const app = readFileSync(join(fixtureApps, "app.mjs"), "utf8");
const tree = (version: string) => ({ "app.mjs": app, ballast, "version.txt": version });
const MESSAGE = "delta could not be used; the whole archive is fetched";

describe("an agent that is offered a delta", () => {
  const hosts = useHosts();

  it("installs it, with no archive but the delta, and serves on without the base", async () => {
    const host = await hosts.start({ app: { workers: 4 }, releases: { keep: 0 } });
    const one = await packTree(host.archives, "1", tree("1"));
    const two = await packTree(host.archives, "2", tree("2"), { bases: [one.manifest] });
    await host.installed("a", one.release);
    // The whole archive can't be had: only the delta leads there.
    await host.installed("b", { ...two.release, url: `${two.release.url}.gone` });
    const at = (version: string) => join(host.state, "releases", version, "tree");
    assert.equal(statSync(join(at("1"), "ballast")).ino, statSync(join(at("2"), "ballast")).ino);
    assert.equal((await host.get("b")).version, "2");
    await host.untilOrder("a", await host.uninstall("a", "1"));
    await host.do("restart", "b");
    await host.untilSlot("b", "was restarted", ({ workers }) => workers.restarts === 2 && workers.ready === 2);
    assert.deepEqual(await entriesOf(at("2")), two.manifest.entries);
    assert.equal(logged(host, { msg: MESSAGE }).length, 0);
  });

  it("fetches the whole archive where the delta is of no use, and says why in its log", async () => {
    const host = await hosts.start({ app: { workers: 4 } });
    const one = await packTree(host.archives, "1", tree("1"));
    const two = await packTree(host.archives, "2", tree("2"), { bases: [one.manifest] });
    await host.installed("a", one.release);
    writeFileSync(join(host.state, "releases/1/tree/ballast"), "somebody wrote into it");
    await host.installed("b", two.release);
    const [warning, ...more] = logged(host, { msg: MESSAGE, version: "2" });
    assert.equal(more.length, 0);
    assert.match(JSON.stringify(warning), /ballast is not what was installed there/);
    assert.deepEqual(await entriesOf(join(host.state, "releases/2/tree")), two.manifest.entries);
  });
});
