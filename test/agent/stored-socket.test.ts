import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { type Host, leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases, logged } from "../support/agent/orders.ts";
import { StandInManager, type Stored } from "../support/agent/stand-in-manager.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { freePorts } from "../support/ports.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

/** Whether somebody listens on a port. */
function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const client = connect(port, "127.0.0.1");
    client.once("connect", () => {
      client.destroy();
      resolve(true);
    });
    client.once("error", () => resolve(false));
  });
}

describe("an agent to which another socket was passed than a slot's own", () => {
  const hosts = useHosts();

  /** A host whose agents get from a stand-in for systemd what it says. */
  async function managed(): Promise<{ host: Host; manager: StandInManager }> {
    const host = await hosts.create({}, { node: StandInManager.node });
    const manager = await StandInManager.start(host);
    hosts.onEnd(() => manager.stop());
    return { host, manager };
  }

  /** Two versions that serve, and no agent any more. */
  async function left() {
    const { host, manager } = await managed();
    await host.startAgent();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    await host.installed("b", two);
    const pids = { a: await host.pids("a"), b: await host.pids("b") };
    await host.killAgent();
    await until("each socket is kept", () => manager.asked("slot-a").length + manager.asked("slot-b").length === 2);
    manager.heard.length = 0;
    return { host, manager, pids };
  }

  const untilReady = (host: Host, slot: string) =>
    host.untilSlot(slot, "serves", ({ state, workers }) => state === "serving" && workers.ready === 2);
  const own = (host: Host, slot: string) => `127.0.0.1:${host.ports[slot]}`;
  const warned = (host: Host) =>
    logged(host, { level: 40 }).filter(({ msg }) => /kept a socket that is not this slot's/.test(String(msg)));

  it("lets it go, says so, and opens the slot's own port for the first version", async () => {
    const { host, manager } = await managed();
    const [other] = (await freePorts(1)) as [number];
    manager.pass([{ name: "slot-a", kind: "listening", port: other }]);
    await host.startAgent();
    assert.deepEqual(
      warned(host).map(({ slot, port }) => [slot, port]),
      [["a", host.ports.a]],
    );
    await until("systemd is told to let go", () => manager.asked("slot-a").length === 1);
    assert.equal(await isOpen(other), false, "nobody holds it any more");

    const [one] = await appReleases(host, "1");
    assert(one);
    const { socket } = await host.installed("a", one);
    assert.equal(socket, "opened");
    assert.equal((await host.get("a")).version, "1");
    await until("its own is kept", () => manager.asked("slot-a").length === 2);
    assert.deepEqual(manager.asked("slot-a"), ["-", own(host, "a")]);
    assert.deepEqual(manager.asked("slot-b"), []);
  });

  it("frees the port of a slot that holds nothing, although the socket that was kept is the slot's own", async () => {
    const { host, manager } = await managed();
    manager.pass([{ name: "slot-a", kind: "listening", port: host.ports.a as number }]);
    await host.startAgent();
    await until("systemd is told to close it", () => manager.asked("slot-a").join() === "-");
    assert.equal(await isOpen(host.ports.a as number), false);
    assert.deepEqual(warned(host), []);
  });

  it("frees the port when it removes a version that has failed, although the slot's own socket was kept", async () => {
    const { host, manager } = await managed();
    await host.startAgent();
    const broken = await makeRelease(host.archives, "1", { files: { a: "x" } });
    await host.untilOrder("a", await host.install("a", broken));
    assert.equal((await host.slot("a")).state, "failed");
    await host.killAgent();
    manager.pass([{ name: "slot-a", kind: "listening", port: host.ports.a as number }]);
    await host.startAgent();
    assert.equal((await host.slot("a")).state, "failed");
    assert.equal(await isOpen(host.ports.a as number), true, "the next workers would get it");
    await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal((await host.slot("a")).state, "empty");
    assert.equal(await isOpen(host.ports.a as number), false);
  });

  it("takes the living workers over with the socket that they have, and none of it is withdrawn", async () => {
    const { host, manager, pids } = await left();
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await until("both members were read", () => watch.alive().size === 2);
    const [other, nobodys] = (await freePorts(2)) as [number, number];
    manager.pass([
      { name: "slot-a", kind: "listening", port: other },
      { name: "slot-b", kind: "file" },
      { name: "slot-of-before", kind: "listening", port: nobodys },
    ]);
    await host.startAgent();
    for (const slot of ["a", "b"] as const) {
      const { socket } = await untilReady(host, slot);
      assert.equal(socket, "adopted");
      assert.deepEqual(await host.pids(slot), pids[slot]);
      assert.equal((await host.get(slot)).version, slot === "a" ? "1" : "2");
      await until("its own is kept instead", () => manager.asked(`slot-${slot}`).length === 2);
      assert.deepEqual(manager.asked(`slot-${slot}`), ["-", own(host, slot)]);
    }
    assert.deepEqual(
      warned(host)
        .map(({ slot, port }) => [slot, port])
        .sort(),
      [
        ["a", host.ports.a],
        ["b", host.ports.b],
      ],
    );
    assert.deepEqual(manager.asked("slot-of-before"), ["-"]);
    for (const port of [other, nobodys]) assert.equal(await isOpen(port), false, "nobody holds it any more");
    assert(
      watch.history.every(({ member }) => member?.status === "ALIVE"),
      JSON.stringify(watch.history),
    );
  });

  const wrong: Record<string, (host: Host) => Omit<Stored, "name">> = {
    "a socket that does not listen": (host) => ({ kind: "bound", port: host.ports.a as number }),
    "a UDP socket": (host) => ({ kind: "udp", port: host.ports.a as number }),
    "a unix socket": () => ({ kind: "unix" }),
    "a pipe": () => ({ kind: "pipe" }),
  };
  for (const [what, stored] of Object.entries(wrong)) {
    it(`starts new workers on the slot's own port where all have died and ${what} was kept`, async () => {
      const { host, manager, pids } = await left();
      for (const pid of pids.a) process.kill(pid, "SIGKILL");
      await until("they are gone", () => leftProcesses(host.state).length === 2);
      manager.pass([{ name: "slot-a", ...stored(host) }]);
      await host.startAgent();
      assert.equal((await untilReady(host, "a")).socket, "opened");
      assert.equal((await host.get("a")).version, "1");
      assert.deepEqual(await host.pids("b"), pids.b);
      assert.deepEqual(
        warned(host).map(({ slot, port }) => [slot, port]),
        [["a", host.ports.a]],
      );
      await until("its own is kept instead", () => manager.asked("slot-a").length === 2);
      assert.deepEqual(manager.asked("slot-a"), ["-", own(host, "a")]);
    });
  }

  it("uses the right one where it was kept as well, and all the workers have died", async () => {
    const { host, manager, pids } = await left();
    for (const pid of [...pids.a, ...pids.b]) process.kill(pid, "SIGKILL");
    await until("they are gone", () => leftProcesses(host.state).length === 0);
    const [other] = (await freePorts(1)) as [number];
    manager.pass([
      { name: "slot-a", kind: "listening", port: other },
      { name: "slot-b", kind: "listening", port: host.ports.b as number },
    ]);
    await host.startAgent();
    assert.equal((await untilReady(host, "a")).socket, "opened");
    assert.equal((await untilReady(host, "b")).socket, "stored");
    assert.equal((await host.get("b")).version, "2");
  });

  it("lets one go that is on the slot's port of another address", async () => {
    const { host, manager } = await left();
    for (const pid of leftProcesses(host.state)) process.kill(pid, "SIGKILL");
    await until("they are gone", () => leftProcesses(host.state).length === 0);
    manager.pass([{ name: "slot-a", kind: "listening", address: "127.0.0.2", port: host.ports.a as number }]);
    await host.startAgent();
    assert.equal((await untilReady(host, "a")).socket, "opened");
    assert.equal((await host.get("a")).version, "1");
    await until("its own is kept instead", () => manager.asked("slot-a").length === 2);
    assert.deepEqual(manager.asked("slot-a"), ["-", own(host, "a")]);
  });

  for (const order of ["first", "last"]) {
    it(`uses its own where it comes ${order} of two under its name, and holds the other one no longer`, async () => {
      const { host, manager } = await left();
      for (const pid of leftProcesses(host.state)) process.kill(pid, "SIGKILL");
      await until("they are gone", () => leftProcesses(host.state).length === 0);
      const [other] = (await freePorts(1)) as [number];
      const both: Stored[] = [host.ports.a as number, other].map((port) => ({
        name: "slot-a",
        kind: "listening",
        port,
      }));
      manager.pass(order === "first" ? both : both.reverse());
      await host.startAgent();
      assert.equal((await untilReady(host, "a")).socket, "stored");
      assert.equal((await host.get("a")).version, "1");
      assert.equal(await isOpen(other), false, "nobody holds it any more");
      await until("its own is kept instead", () => manager.asked("slot-a").length === 2);
      assert.deepEqual(manager.asked("slot-a"), ["-", own(host, "a")]);
    });
  }
});
