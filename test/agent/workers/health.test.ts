import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { afterEach, describe, it } from "node:test";
import { peerName } from "../../../agent/os/tcp-connections.ts";
import { HealthProbe, probe } from "../../../agent/workers/watch/health.ts";
import { tcpConnections } from "../../support/tcp-connections.ts";
import { until } from "../../support/until.ts";

describe("a health probe", () => {
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  const serve = async (listener: RequestListener): Promise<number> => {
    const server: Server = createServer(listener);
    await once(server.listen(0, "127.0.0.1"), "listening");
    undo.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return (server.address() as AddressInfo).port;
  };
  const TIMEOUT_MS = 200;
  const ask = (port: number) => probe({ host: "127.0.0.1", port }, "/healthz", TIMEOUT_MS);

  const answers: [what: string, answer: RequestListener, expected: RegExp][] = [
    ["an answer with 200", (_, response) => response.end("fine"), /"ok":true,"status":200/],
    ["a redirect", (_, response) => response.writeHead(302, { location: "/" }).end(), /"ok":true,"status":302/],
    ["an answer with 503", (_, response) => response.writeHead(503).end(), /GET \/healthz answered 503/],
    ["no answer", () => {}, /was not answered in 200 ms/],
    ["an answer without an end", (_, response) => response.write("x"), /was not answered in 200 ms/],
    ["a connection that is cut", (request) => request.socket.destroy(), /GET \/healthz: socket hang up/],
    ["an answer that breaks off", cutShort, /"ok":false/],
  ];
  for (const [what, answer, expected] of answers) {
    it(`takes ${what} for what it is, within its time`, async () => {
      const port = await serve(answer);
      const began = performance.now();
      assert.match(JSON.stringify(await ask(port)), expected);
      assert(performance.now() - began < TIMEOUT_MS + 3_000);
      await until("its connection is gone", () => tcpConnections("127.0.0.1", port).length === 0);
    });
  }

  it("takes what is not HTTP for a failure", async () => {
    const server = createTcpServer((socket) =>
      socket
        .on("error", () => {})
        .resume()
        .end("SSH-2.0-OpenSSH\r\n"),
    );
    await once(server.listen(0, "127.0.0.1"), "listening");
    undo.push(() => new Promise((resolve) => server.close(resolve)));
    const result = await ask((server.address() as AddressInfo).port);
    assert.equal(result.ok, false);
  });

  it("takes a refused connection for a failure", async () => {
    const result = await ask(await closedPort());
    assert.match(JSON.stringify(result), /ECONNREFUSED/);
  });

  it("makes healthy by rise in a row, and unhealthy by fall in a row", async () => {
    const script = [true, false, true, true, false, true, false, false, false, true, true];
    let asked = 0;
    const port = await serve((_, response) => {
      response.writeHead(script[Math.min(asked++, script.length - 1)] ? 200 : 500).end();
    });
    const config = { path: "/", interval_ms: 5, timeout_ms: 1_000, rise: 2, fall: 3 };
    const states: boolean[] = [];
    const known: boolean[] = [];
    const health: HealthProbe = new HealthProbe({ host: "127.0.0.1", port }, config, () => {
      states.push(health.healthy);
      known.push(health.known);
    });
    undo.push(() => health.stop());
    health.start();
    health.start();
    await until("the script was played", () => states.length >= script.length);
    health.stop();
    const [no, yes] = [false, true];
    assert.deepEqual(states.slice(0, script.length), [no, no, no, yes, yes, yes, yes, yes, no, no, yes]);
    assert.deepEqual(known.slice(0, 5), [no, no, no, yes, yes]);
  });

  it("can be told from the connections of others, from the first moment to the last", async () => {
    const port = await serve((_, response) => setTimeout(() => response.end(), 1));
    const config = { path: "/", interval_ms: 1, timeout_ms: 1_000, rise: 1, fall: 1 };
    let probes = 0;
    const health = new HealthProbe({ host: "127.0.0.1", port }, config, () => {
      probes++;
    });
    undo.push(() => health.stop());
    health.start();
    const client = connect(port, "127.0.0.1");
    undo.push(() => client.destroy());
    await once(client, "connect");
    const others = new Set<string>();
    let ours = 0;
    await until(
      "many were made",
      () => {
        for (const one of tcpConnections("127.0.0.1", port)) {
          if (health.connections.has(one)) ours++;
          else others.add(one.peer);
        }
        return probes > 150;
      },
      { everyMs: 0 },
    );
    assert.deepEqual([...others], [peerName("127.0.0.1", client.localPort as number)]);
    assert(ours > 10, "they were seen now and then");
  });
});

function cutShort(...[request, response]: Parameters<RequestListener>): void {
  response.writeHead(200, { "content-length": "100" });
  response.write("x", () => request.socket.destroy());
}

async function closedPort(): Promise<number> {
  const server = createTcpServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
