import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ReleaseStatus, Verification } from "../../protocol/release-status.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

describe("the releases of a host", () => {
  const hosts = useHosts();
  const release = (host: Host, version: string) => makeRelease(host.archives, version, { app: "app.mjs" });
  const installed = (host: Host) => readdirSync(join(host.state, "releases")).sort();
  const link = (host: Host, role: string) =>
    existsSync(join(host.state, role)) ? readFileSync(join(host.state, role, "version.txt"), "utf8") : null;

  it("stay as long as they are among the newest, so that going back needs no fetch", async () => {
    const host = await hosts.start({ releases: { keep: 1 } });
    const first = await release(host, "1");
    await host.installed("a", first);
    const second = await release(host, "2");
    await host.installed("a", second);
    await until("the first one is kept", () => installed(host).join() === "1,2");
    await host.installed("a", await release(host, "3"));
    await until("one is kept", () => installed(host).join() === "2,3");
    const gone = await host.ask<ReleaseStatus[]>("GET", "/v1/releases");
    assert.deepEqual(
      gone.map(({ version, slots, role }) => [version, slots, role]),
      [
        ["3", ["a"], "current"],
        ["2", [], null],
      ],
    );
    const events = await host.events();
    assert(events.some(({ message }) => message === "release 1 was removed"));
    // The archive is not there any more; what is kept does without.
    writeFileSync(new URL(second.url), "gone");
    await host.installed("a", second);
    assert.equal((await host.get("a")).version, "2");
  });

  it("are swept at the start, but for what slots hold and what is to be kept", async () => {
    const host = await hosts.start({ releases: { keep: 3 } });
    for (const version of ["1", "2", "3"]) await host.installed("a", await release(host, version));
    await until("all are there", () => installed(host).length === 3);
    await host.killAgent();
    host.configure({ releases: { keep: 1 } });
    await host.startAgent();
    await until("one is kept beside the slot's", () => installed(host).join() === "2,3");
    assert.equal((await host.get("a")).version, "3");
  });

  it("have links by their role, which follow the newer epoch or what an order says", async () => {
    const host = await hosts.start();
    const first = await release(host, "1");
    await host.installed("a", first);
    await until("the only one is current", () => link(host, "current") === "1");
    assert.equal(link(host, "previous"), null);
    await host.installed("b", await release(host, "2"));
    await until("the roles have changed", () => link(host, "current") === "2" && link(host, "previous") === "1");
    assert.equal(readlinkSync(join(host.state, "current")), join("releases", "2", "tree"));
    await host.installed("a", first, { role: "current" });
    await until("the order counts for more", () => link(host, "current") === "1" && link(host, "previous") === "2");
    await host.killAgent();
    await host.startAgent();
    await host.untilOrder("b", await host.uninstall("b", "2"));
    await until("what is gone has no link", () => link(host, "current") === "1" && link(host, "previous") === null);
  });

  it("are verified against what was installed, each difference by its name", async () => {
    const host = await hosts.start();
    await host.installed("a", await release(host, "1"));
    const verify = (version: string) => host.ask<Verification>("POST", `/v1/releases/${version}/verify`);
    const good = await verify("1");
    assert.deepEqual([good.good, good.differences], [true, []]);
    const tree = join(host.state, "releases/1/tree");
    writeFileSync(join(tree, "version.txt"), "2");
    writeFileSync(join(tree, "extra.txt"), "");
    const bad = await verify("1");
    assert.equal(bad.good, false);
    assert.deepEqual(bad.differences, [
      { path: "version.txt", what: "content" },
      { path: "extra.txt", what: "extra" },
    ]);
    await assert.rejects(verify("9"), { code: "RELEASE_NOT_INSTALLED", status: 404 });
  });
});
