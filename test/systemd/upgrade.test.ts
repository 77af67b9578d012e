import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { HostStatus } from "../../protocol/host-status.ts";
import { memberLeaseMs } from "../../protocol/member.ts";
import { makeRelease, repository } from "../support/release.ts";
import { bootSystemd, type SystemdHost } from "../support/systemd/host.ts";
import type { LoadReport } from "../support/systemd/load.ts";
import { buildPackage, packageVersion } from "../support/systemd/package.ts";
import { PACKAGED_NODE, packagedAgent, webConfiguration } from "../support/systemd/slotd.ts";
import { until } from "../support/until.ts";

/**
 * Agents that are replaced while two versions serve under load: by the package's upgrades, and by `systemctl restart`.
 */

const UNIT = "slotd@web";
const NEWER = `${packageVersion}+newer`;
const NEWEST = `${packageVersion}+newest`;
const VERSIONS = [packageVersion, NEWER, NEWEST];
const CONFIGURATION = webConfiguration({ command: "app.mjs", workers: 4 });

let host: SystemdHost;
const { json, agent, pids, ...packaged } = packagedAgent(() => host, UNIT);
let nats: string;

describe("upgrades under load", () => {
  before(async () => {
    const debs: string[] = [];
    for (const version of VERSIONS) debs.push(await buildPackage(version));
    // The load is this repository's, and is run where it lies.
    host = await bootSystemd({ nspawn: [`--bind-ro=${repository}`] });
    for (const [i, deb] of debs.entries()) host.copyIn(deb, `/srv/slotd-${i}.deb`);
    await install(packageVersion);
    nats = await host.startNats();
    host.write("/etc/slotd/web.toml", CONFIGURATION);
    await host.run(`systemctl enable --now ${UNIT}`);
    for (const [version, slot] of [
      ["1", "a"],
      ["2", "b"],
    ] as const) {
      const { url } = await makeRelease(host.share, version, { app: "app.mjs" });
      await host.run(["slotd-controller", "publish", "web", version, `/srv/share/${basename(url)}`]);
      await packaged.install(version, slot);
    }
  });

  after(() => host?.close());

  const install = (version: string) => host.run(["dpkg", "-i", `/srv/slotd-${VERSIONS.indexOf(version)}.deb`]);

  /** Another agent runs, has the bus, and both slots serve. */
  const untilServing = async (before: string) => {
    await packaged.untilServing(before, 2);
    return until("it has the bus", async () => {
      const status = await packaged.status();
      return status.bus.connected ? status : null;
    });
  };

  /** Runs the load while something is done. @returns what the load saw */
  async function underLoad(work: () => Promise<void>): Promise<LoadReport> {
    const script = fileURLToPath(new URL("../support/systemd/load.js", import.meta.url));
    const load: ChildProcess = host.spawn([PACKAGED_NODE, script, "web", "h1", nats, "8000", "8001"]);
    const said: string[] = [];
    let wrong = "";
    load.stderr?.setEncoding("utf8").on("data", (text: string) => {
      wrong += text;
    });
    if (load.stdout) createInterface({ input: load.stdout }).on("line", (line) => said.push(line));
    const line = async (at: number) => {
      const ended = () => load.exitCode !== null;
      await until(`the load says line ${at}`, () => said.length > at || ended());
      const text = said[at];
      if (text === undefined) throw new Error(`the load ended with ${load.exitCode}: ${wrong}`);
      return text;
    };
    try {
      assert.equal(await line(0), "ready");
      await work();
      assert.equal(load.exitCode, null, "the load has lasted as long as the work");
      load.stdin?.end();
      return JSON.parse(await line(1)) as LoadReport;
    } finally {
      load.kill("SIGKILL");
    }
  }

  /** Nothing was noticed by those who use the app: neither a request that failed nor a version that was withdrawn. */
  async function unnoticed(report: LoadReport): Promise<void> {
    assert.deepEqual(report.failures, [], await host.journal(UNIT));
    assert.deepEqual(report.withdrawn, []);
    assert.equal(Object.keys(report.requests).length, 8);
    for (const [kind, count] of Object.entries(report.requests)) assert(count > 20, `${kind}: ${count} requests`);
    for (const [key, count] of Object.entries(report.written)) assert(count > 1, `${key} was written ${count} times`);
    assert(report.longestGapMs < memberLeaseMs, `no member was written for ${report.longestGapMs} ms`);
  }

  it("upgrades of the package, and a step back, go unnoticed under load", async () => {
    const workers = await pids();
    assert.equal(workers.length, 4);
    const report = await underLoad(async () => {
      for (const version of [NEWER, NEWEST, packageVersion, NEWEST]) {
        const before = await agent();
        await install(version);
        const { agentVersion } = await untilServing(before);
        assert.equal(agentVersion, version);
        assert.deepEqual(await pids(), workers, await host.journal(UNIT));
      }
    });
    await unnoticed(report);
    assert.equal((await host.run("slotctl --version")).stdout.trim(), NEWEST);
    const { slots } = await json<HostStatus>("slotctl status");
    for (const { socket, lastError } of Object.values(slots)) assert.deepEqual([socket, lastError], ["stored", null]);
  });

  it("five restarts in a row go unnoticed under load", async () => {
    const workers = await pids();
    const report = await underLoad(async () => {
      for (let i = 0; i < 5; i++) {
        const before = await agent();
        await host.restartUnit(UNIT);
        assert.notEqual(await agent(), before);
      }
      await untilServing("0");
    });
    assert.deepEqual(await pids(), workers, await host.journal(UNIT));
    await unnoticed(report);
    assert.equal(await host.show(UNIT, "NRestarts"), "0");
    const { slots } = await json<HostStatus>("slotctl status");
    for (const { socket, lastError } of Object.values(slots)) assert.deepEqual([socket, lastError], ["stored", null]);
  });
});
