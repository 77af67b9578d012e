import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { Listener } from "../../../agent/os/listener.ts";
import { listenerInode, peerName } from "../../../agent/os/tcp-connections.ts";
import { freePorts } from "../../support/ports.ts";
import { tcpConnections } from "../../support/tcp-connections.ts";
import { until } from "../../support/until.ts";

describe("TCP connections as the kernel sees them", () => {
  const open: { destroy(): void }[] = [];
  const servers: Server[] = [];
  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  });

  const listen = async (host: string, onSocket: (socket: Socket) => void = () => {}) => {
    const server = createServer((socket) => {
      open.push(socket);
      socket.on("error", () => {});
      onSocket(socket);
    });
    servers.push(server);
    await once(server.listen(0, host), "listening");
    return (server.address() as AddressInfo).port;
  };
  const dial = async (host: string, port: number) => {
    const socket = connect(port, host);
    open.push(socket);
    await once(socket, "connect");
    return socket;
  };
  /** The one connection on a port, once it is as expected. */
  const seen = (address: string, port: number, holds: (one: ReturnType<typeof tcpConnections>[number]) => boolean) =>
    until("the kernel sees it", () => {
      const all = tcpConnections(address, port);
      assert.equal(all.length, 1);
      return all.find(holds);
    });

  const families: [bind: string, from: string][] = [
    ["127.0.0.1", "127.0.0.1"],
    ["0.0.0.0", "127.0.0.9"],
    ["::1", "::1"],
    ["::", "::1"],
    ["::", "127.0.0.1"],
  ];
  for (const [bind, from] of families) {
    it(`are found on ${bind}, from ${from}, with who is on the other side and what was said`, async () => {
      const port = await listen(bind, (socket) => socket.once("data", () => socket.write("answer")));
      assert.deepEqual(tcpConnections(bind, port), []);
      const socket = await dial(from, port);
      socket.write("a request");
      await once(socket, "data");
      const one = await seen(bind, port, ({ unackedBytes }) => unackedBytes === 0);
      const mapped = bind === "::" && from === "127.0.0.1" ? "::ffff:127.0.0.1" : (socket.localAddress as string);
      assert.equal(one.peer, peerName(mapped, socket.localPort as number));
      assert.deepEqual([one.bytesReceived, one.bytesAcked, one.unreadBytes], [9, 6, 0]);
      assert(one.lastReceivedMs < 2_000 && one.lastSentMs < 2_000);
    });
  }

  it("are not mixed up with those of another port or another address", async () => {
    const port = await listen("127.0.0.1");
    const other = await listen("127.0.0.1");
    await dial("127.0.0.1", other);
    assert.deepEqual(tcpConnections("127.0.0.1", port), []);
    assert.deepEqual(tcpConnections("127.0.0.2", other), []);
    assert.equal(tcpConnections("0.0.0.0", other).length, 1);
  });

  it("tell of bytes that the app has not read", async () => {
    const port = await listen("127.0.0.1", (socket) => socket.pause());
    (await dial("127.0.0.1", port)).write("x".repeat(1_000_000));
    const one = await seen("127.0.0.1", port, ({ unreadBytes }) => unreadBytes > 10_000);
    assert.equal(one.bytesAcked, 0);
  });

  it("tell of bytes that the other side has not taken", async () => {
    const port = await listen("127.0.0.1", (socket) => socket.write("x".repeat(10_000_000)));
    (await dial("127.0.0.1", port)).pause();
    await seen("127.0.0.1", port, ({ unackedBytes }) => unackedBytes > 10_000);
  });

  it("are there still when the other side has ended its half", async () => {
    const port = await listen("127.0.0.1", (socket) => {
      socket.allowHalfOpen = true;
    });
    (await dial("127.0.0.1", port)).end("the whole request");
    await seen("127.0.0.1", port, ({ unreadBytes, bytesReceived }) => unreadBytes > 0 || bytesReceived >= 17);
  });

  it("are found by the hundreds, each once", async () => {
    const port = await listen("127.0.0.1");
    const sockets = await Promise.all(Array.from({ length: 700 }, () => dial("127.0.0.1", port)));
    const all = tcpConnections("127.0.0.1", port);
    assert.equal(new Set(all.map(({ cookie }) => cookie)).size, 700);
    const peers = new Set(all.map(({ peer }) => peer));
    assert(sockets.every(({ localPort }) => peers.has(peerName("127.0.0.1", localPort as number))));
  });

  it("include those that nobody has accepted yet", async () => {
    const [port] = (await freePorts(1)) as [number];
    const listener = Listener.open("127.0.0.1", port);
    open.push({ destroy: () => listener.close() });
    const socket = await dial("127.0.0.1", port);
    socket.on("error", () => {});
    socket.write("a request");
    const one = await seen("127.0.0.1", port, ({ unreadBytes }) => unreadBytes === 9);
    assert.equal(one.bytesAcked, 0);
  });
});

describe("the socket that listens on a port", () => {
  it("is found by its own address, a wildcard of it, or one that it covers, and by nothing else", async () => {
    for (const [bind, asked, found] of [
      ["127.0.0.1", "127.0.0.1", true],
      ["127.0.0.1", "0.0.0.0", true],
      ["127.0.0.1", "127.0.0.2", false],
      ["0.0.0.0", "127.0.0.2", true],
      ["::", "127.0.0.1", true],
      ["::1", "127.0.0.1", false],
      ["::1", "::1", true],
      ["::1", "::", true],
    ] as const) {
      const server = createServer();
      await once(server.listen(0, bind), "listening");
      const { port } = server.address() as AddressInfo;
      assert.equal(listenerInode(asked, port) !== null, found, `${bind} asked by ${asked}`);
      await new Promise((resolve) => server.close(resolve));
      assert.equal(listenerInode(asked, port), null);
    }
  });
});
