import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { parseConfig } from "../../../agent/config/load.ts";
import { peerName } from "../../../agent/os/tcp-connections.ts";
import { HealthProbe } from "../../../agent/workers/watch/health.ts";
import { probe } from "../../../agent/workers/watch/probe.ts";
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
  const health = (settings = "") =>
    parseConfig(`service = "web"\n[app]\ncommand = ["x"]\n[health]\ntimeout_ms = ${TIMEOUT_MS}\n${settings}`).health;
  const ask = (port: number, settings = "") => probe({ host: "127.0.0.1", port }, health(settings));

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

  const redirects: [settings: string, location: string, good: boolean][] = [
    ["", "/login", true],
    ["", "https://shop.example.com/healthz", false],
    ["", "//other.example.com/", true],
    ['host = "shop.example.com"', "http://shop.example.com/login", true],
    ['host = "shop.example.com"', "http://login.example.com/", false],
    ['host = "shop.example.com"', "//login.example.com/", false],
    ["expect = [302]", "https://shop.example.com/", true],
  ];
  for (const [settings, location, good] of redirects) {
    it(`takes a redirect to ${location} for ${good ? "good" : "bad"}, with ${settings || "nothing set"}`, async () => {
      const port = await serve((_, response) => response.writeHead(302, { location }).end());
      const result = await ask(port, settings);
      assert.equal(result.ok, good, JSON.stringify(result));
      assert.equal(result.status, 302);
    });
  }

  it("sends the host and the headers that an app insists on, and expects what it is told to", async () => {
    const port = await serve(({ headers }, response) => {
      const right = headers.host === "shop.example.com" && headers["x-forwarded-proto"] === "https";
      response.writeHead(right ? 204 : 400).end();
    });
    const settings = 'host = "shop.example.com"\nheaders = { X-Forwarded-Proto = "https" }\n';
    assert.equal((await ask(port)).ok, false);
    assert.deepEqual(await ask(port, settings), { ok: true, status: 204 });
    assert.deepEqual(await ask(port, `${settings}expect = [200]`), {
      ok: false,
      status: 204,
      why: "GET /healthz answered 204",
    });
  });

  it("asks by https, with a certificate that is verified or not", async () => {
    const { directory, certificate, key } = makeCertificate();
    undo.push(() => rmSync(directory, { recursive: true }));
    const server = createTlsServer({ cert: certificate, key }, (_, response) => response.end());
    await once(server.listen(0, "127.0.0.1"), "listening");
    undo.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    const { port } = server.address() as AddressInfo;
    assert.match(JSON.stringify(await ask(port, 'https = "verified"')), /"ok":false.*(self|certificate)/);
    assert.deepEqual(await ask(port, 'https = "unverified"'), { ok: true, status: 200 });
    assert.equal((await ask(port)).ok, false);
  });

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
    const config = { ...health(), interval_ms: 5, timeout_ms: 1_000, rise: 2, fall: 3 };
    const states: boolean[] = [];
    const known: boolean[] = [];
    const probes: HealthProbe = new HealthProbe({ host: "127.0.0.1", port }, config, () => {
      states.push(probes.healthy);
      known.push(probes.known);
    });
    undo.push(() => probes.stop());
    probes.start();
    probes.start();
    await until("the script was played", () => states.length >= script.length);
    probes.stop();
    const [no, yes] = [false, true];
    assert.deepEqual(states.slice(0, script.length), [no, no, no, yes, yes, yes, yes, yes, no, no, yes]);
    assert.deepEqual(known.slice(0, 5), [no, no, no, yes, yes]);
  });

  it("can be told from the connections of others, from the first moment to the last", async () => {
    const port = await serve((_, response) => setTimeout(() => response.end(), 1));
    const config = { ...health(), interval_ms: 1, timeout_ms: 1_000, rise: 1, fall: 1 };
    let made = 0;
    const probes = new HealthProbe({ host: "127.0.0.1", port }, config, () => {
      made++;
    });
    undo.push(() => probes.stop());
    probes.start();
    const client = connect(port, "127.0.0.1");
    undo.push(() => client.destroy());
    await once(client, "connect");
    const others = new Set<string>();
    let ours = 0;
    await until(
      "many were made",
      () => {
        for (const one of tcpConnections("127.0.0.1", port)) {
          if (probes.connections.has(one)) ours++;
          else others.add(one.peer);
        }
        return made > 150;
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

function makeCertificate() {
  const directory = mkdtempSync(join(tmpdir(), "slotd-health-"));
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem"];
  const certificate = ["-x509", "-days", "2", "-subj", "/CN=app", "-out", "cert.pem"];
  execFileSync("openssl", ["req", ...key, ...certificate], { cwd: directory, stdio: "pipe" });
  const read = (name: string) => readFileSync(join(directory, name));
  return { directory, key: read("key.pem"), certificate: read("cert.pem") };
}

async function closedPort(): Promise<number> {
  const server = createTcpServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
