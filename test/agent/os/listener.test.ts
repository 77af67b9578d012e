import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { afterEach, describe, it } from "node:test";
import { isAccepting, socketInode } from "../../../agent/os/accepting.ts";
import { Listener } from "../../../agent/os/listener.ts";
import { portOwner } from "../../../agent/os/port-owner.ts";
import { listenerInode } from "../../../agent/os/tcp-connections.ts";
import type { PortTakenError } from "../../../protocol/errors.ts";
import { freePorts } from "../../support/ports.ts";
import { until } from "../../support/until.ts";

const ANSWERS = `require("net").createServer((s) => s.on("error", () => {}).end("hello")).listen({ fd: 3 })`;
const SITS = "setInterval(() => {}, 1000)";

describe("a listening socket that is shared with other processes", () => {
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  const open = (address: string, port: number) => {
    const listener = Listener.open(address, port);
    undo.push(() => listener.close());
    return listener;
  };
  /** A process that inherits the socket as fd 3. */
  const heir = async (listener: Listener, script: string): Promise<ChildProcess & { pid: number }> => {
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "ignore", "inherit", listener.fd] });
    undo.push(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    await once(child, "spawn");
    return child as ChildProcess & { pid: number };
  };
  const hear = (address: string, port: number) =>
    new Promise<string>((resolve, reject) => {
      let text = "";
      connect(port, address)
        .on("data", (bytes) => {
          text += bytes;
        })
        .on("error", reject)
        .on("close", () => resolve(text));
    });

  for (const address of ["127.0.0.1", "0.0.0.0", "::1", "::"]) {
    it(`serves on ${address} in the process that inherited it, also when the opener has closed it`, async () => {
      const [port] = (await freePorts(1, address)) as [number];
      const listener = open(address, port);
      await heir(listener, ANSWERS);
      const reach = { "0.0.0.0": "127.0.0.1", "::": "::1" }[address] ?? address;
      assert.equal(await hear(reach, port), "hello");
      listener.close();
      assert.equal(await hear(reach, port), "hello");
    });
  }

  it("is taken back from a living process when its opener has lost it", async () => {
    const [port] = (await freePorts(1)) as [number];
    const first = open("127.0.0.1", port);
    const inode = socketInode(first.fd);
    const { pid } = await heir(first, ANSWERS);
    first.close();
    const second = Listener.fromProcess(pid, 3, port);
    assert(second);
    undo.push(() => second.close());
    assert.equal(second.origin, "adopted");
    assert.equal(socketInode(second.fd), inode, "it is the very same socket");
    await heir(second, ANSWERS);
    assert.equal(await hear("127.0.0.1", port), "hello");
  });

  it("is not taken from a descriptor that is something else, or a process that has gone", async () => {
    const [port, other] = (await freePorts(2)) as [number, number];
    const listener = open("127.0.0.1", port);
    const child = await heir(listener, SITS);
    assert.equal(Listener.fromProcess(child.pid, 2, port), null, "a file");
    assert.equal(Listener.fromProcess(child.pid, 3, other), null, "another port");
    assert.equal(Listener.fromProcess(child.pid, 99, port), null, "nothing");
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(Listener.fromProcess(child.pid, 3, port), null, "nobody");
  });

  it("names who has the port already", async () => {
    const [port] = (await freePorts(1)) as [number];
    const server = createServer();
    undo.push(() => server.close());
    await once(server.listen(port, "127.0.0.1"), "listening");
    for (const address of ["127.0.0.1", "0.0.0.0"]) {
      assert.throws(
        () => Listener.open(address, port),
        ({ code, owner, message }: PortTakenError) => {
          assert.deepEqual([code, owner?.pid], ["PORT_TAKEN", process.pid]);
          return message.startsWith(`${address}:${port} is taken by process ${process.pid} (`);
        },
      );
    }
    assert.equal(portOwner("127.0.0.2", port), null);
  });

  it("can be opened again at once, though connections of the one before linger in TIME_WAIT", async () => {
    const [port] = (await freePorts(1)) as [number];
    for (let round = 0; round < 3; round++) {
      const listener = open("127.0.0.1", port);
      const child = await heir(listener, ANSWERS);
      // The server's side ends first, and is the one that lingers.
      assert.equal(await hear("127.0.0.1", port), "hello");
      listener.close();
      listener.close();
      child.kill("SIGKILL");
      await once(child, "exit");
      assert.equal(listenerInode("127.0.0.1", port), null);
    }
  });

  it("shows which process waits on it", async () => {
    const [port] = (await freePorts(1)) as [number];
    const listener = open("127.0.0.1", port);
    const inode = socketInode(listener.fd);
    const [answering, sitting] = await Promise.all([heir(listener, ANSWERS), heir(listener, SITS)]);
    await until("it is seen to wait", () => isAccepting(answering.pid, inode));
    assert.equal(isAccepting(sitting.pid, inode), false);
    assert.equal(isAccepting(answering.pid, inode + 1), false);
    assert.equal(isAccepting(2 ** 22 - 1, inode), false);
  });
});
