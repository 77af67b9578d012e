import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { HostStatus } from "../../protocol/host-status.ts";
import { repository } from "../support/release.ts";
import { bootSystemd, type SystemdHost } from "../support/systemd/host.ts";
import { buildPackage } from "../support/systemd/package.ts";
import { packagedAgent, webConfiguration } from "../support/systemd/slotd.ts";
import { until } from "../support/until.ts";

/** The real agent under a real systemd, installed from the package: each test goes on where the one before it ended. */

const UNIT = "slotd@web";
const CONFIGURATION = webConfiguration({ command: "server.mjs", workers: 4 });
/** Shorter than the unit's own, but longer than the agent's beat of 5 s. */
const WATCHDOG = "[Service]\nWatchdogSec=8\n";

let host: SystemdHost;
const { json, agent, slots, pids, install, ...packaged } = packagedAgent(() => host, UNIT);
const untilServing = (before: string) => packaged.untilServing(before, 2);

describe("the packaged agent under systemd", () => {
  before(async () => {
    const deb = await buildPackage();
    host = await bootSystemd();
    host.copyIn(deb, "/srv/slotd.deb");
    await host.run("dpkg -i /srv/slotd.deb");
    await host.startNats();
    host.write("/etc/slotd/web.toml", CONFIGURATION);
    host.write(`/etc/systemd/system/slotd@.service.d/test.conf`, WATCHDOG);
    await host.run(`systemctl daemon-reload && systemctl enable --now ${UNIT}`);
    mkdirSync(join(host.share, "app"));
    cpSync(join(repository, "examples/hello/server.mjs"), join(host.share, "app/server.mjs"));
    await host.run("tar -czf /srv/share/app.tar.gz -C /srv/share/app .");
    for (const [version, slot] of [
      ["1", "a"],
      ["2", "b"],
    ] as const) {
      await host.run(`slotd-controller publish web ${version} /srv/share/app.tar.gz`);
      await install(version, slot);
    }
  });

  after(() => host?.close());

  /**
   * Does something that ends the agent, and sees that the next one has the same workers, on the sockets that systemd
   * kept.
   */
  async function keepsWorkers(end: (pid: string) => Promise<unknown>): Promise<void> {
    const before = { agent: await agent(), workers: await pids() };
    assert.equal(before.workers.length, 4);
    await end(before.agent);
    await untilServing(before.agent);
    assert.deepEqual(await pids(), before.workers, await host.journal(UNIT));
    assert.deepEqual(
      (await slots()).map(({ socket }) => socket),
      ["stored", "stored"],
    );
  }

  it("systemctl status says what the slots hold", async () => {
    const says = async () => /a: serving 1 \(2\/2\), b: serving 2 \(2\/2\)/.test(await host.show(UNIT, "StatusText"));
    await until("the status text is there", says);
  });

  it("doctor finds no fault with the ports of slots that serve", async () => {
    type Checks = { checks: { name: string; ok: string; found: string }[] };
    const ports = async () => {
      const { stdout } = await host.run("slotctl doctor --config /etc/slotd/web.toml --json", { check: false });
      const { checks } = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Checks;
      return checks.filter(({ name }) => name.startsWith("port of"));
    };
    const serving = await ports();
    assert.deepEqual(
      serving.map(({ ok }) => ok),
      ["ok", "ok"],
      JSON.stringify(serving),
    );
  });

  it("restart keeps the workers", () => keepsWorkers(() => host.restartUnit(UNIT)));

  it("reload reads the configuration anew, and keeps the workers", async () => {
    host.write("/etc/slotd/web.toml", CONFIGURATION.replace("timeout_ms = 2000", "timeout_ms = 3000"));
    await keepsWorkers(() => host.run(`systemctl reload ${UNIT}`));
  });

  it("reload refuses a configuration with a mistake, and the agent goes on", async () => {
    const before = await agent();
    host.write("/etc/slotd/web.toml", CONFIGURATION.replace("bind", "bindd"));
    assert.notEqual((await host.run(`systemctl reload ${UNIT}`, { check: false })).code, 0);
    host.write("/etc/slotd/web.toml", CONFIGURATION);
    assert.equal(await agent(), before);
  });

  it("a stop that may take longer than systemd waits is told to the operator", async () => {
    const warnings = async () => (await json<HostStatus>("slotctl status")).warnings;
    assert.deepEqual(await warnings(), []);
    host.write("/etc/slotd/web.toml", CONFIGURATION.replace("timeout_ms = 2000", "timeout_ms = 120000"));
    await keepsWorkers(() => host.run(`systemctl reload ${UNIT}`));
    const told = await until("it is told", async () => (await warnings())[0]);
    assert.match(told, /^a stop may take 146000 ms \(.*TimeoutStopSec of slotd@web.service is 120000 ms; shorten/);
    assert.match(
      (await host.run("slotctl doctor --config /etc/slotd/web.toml", { check: false })).stdout,
      /TimeoutStopSec/,
    );
    host.write("/etc/slotd/web.toml", CONFIGURATION);
    await keepsWorkers(() => host.run(`systemctl reload ${UNIT}`));
  });

  it("kill -9 of the agent keeps the workers", () => keepsWorkers((pid) => host.run(`kill -9 ${pid}`)));

  it("an agent that hangs is ended by the watchdog, and the workers stay", () =>
    keepsWorkers((pid) => host.run(`kill -STOP ${pid}`)));

  it("workers that died with no agent there are replaced on the socket that systemd kept", async () => {
    const before = await agent();
    const workers = await pids();
    await host.run(`kill -9 ${before} ${workers.join(" ")}`);
    await untilServing(before);
    assert.equal((await pids()).filter((pid) => workers.includes(pid)).length, 0);
    assert.deepEqual(
      (await slots()).map(({ socket }) => socket),
      ["stored", "stored"],
    );
  });

  it("stop drains and stops the workers, and start brings both slots back", async () => {
    const workers = await pids();
    await host.stopUnit(UNIT);
    for (const pid of workers) assert.equal((await host.run(`kill -0 ${pid}`, { check: false })).code, 1);
    assert.match(await host.journal(UNIT), /"state":"draining"/);
    await host.startUnit(UNIT);
    await untilServing("0");
    assert.deepEqual(
      (await slots()).map(({ version }) => version),
      ["1", "2"],
    );
  });

  it("a power cut: both slots come up from the journal, with no bus there", async () => {
    await host.powerCut();
    await host.boot();
    await untilServing("0");
    const { bus, slots } = await json<HostStatus>("slotctl status");
    assert.equal(bus.connected, false);
    assert.deepEqual(
      Object.values(slots).map((slot) => slot.version),
      ["1", "2"],
    );
  });
});
