import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect, createServer } from "node:net";
import { afterEach, describe, it } from "node:test";
import { pino } from "pino";
import { createBuiltin } from "../../../../edge/proxies/builtin/index.ts";
import { type ManagedProxy, ProxyRejectedError } from "../../../../edge/proxies/contract.ts";
import type { Endpoint, Table, VersionNaming } from "../../../../edge/table/table.ts";
import { allTo } from "../../../../edge/table/unnamed.ts";
import { Backend } from "../../../support/fleet/members.ts";
import { freePorts } from "../../../support/ports.ts";
import { PATIENCE_MS, until } from "../../../support/until.ts";
import { ask } from "../../fleet.ts";

const naming: VersionNaming = { header: "X-App-Version", cookie: "app_version", query: "v" };

describe("the builtin router", () => {
  const undoing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const undo of undoing.splice(0).reverse()) await undo();
  });

  async function backend(...args: Parameters<typeof Backend.start>): Promise<Backend> {
    const started = await Backend.start(...args);
    undoing.push(() => started.stop());
    return started;
  }

  const endpoint = (of: { address: string; port: number }, id = `prod.p${of.port}.a`, weight = 1): Endpoint => ({
    ...{ id, stage: "prod", address: of.address, port: of.port, weight },
  });

  function table(byDefault: string, versions: Record<string, Endpoint[]>, fallback: string | null = null): Table {
    const listed = Object.entries(versions).map(([version, endpoints]) => ({ version, endpoints }));
    const revisions = { epoch: 1, routesRevision: 1, serversetsRevision: 1 };
    return {
      service: "web",
      ...revisions,
      unnamed: byDefault === null ? [] : allTo(byDefault),
      fallback,
      versions: listed,
    };
  }

  async function router(first: Table, timeouts = {}): Promise<{ url: string; port: number; proxy: ManagedProxy }> {
    const [port] = (await freePorts(1)) as [number];
    const config = {
      kind: "builtin",
      address: "127.0.0.1",
      port,
      connect_timeout_ms: 500,
      response_timeout_ms: 10_000,
    };
    const proxy = await createBuiltin({ ...config, kind: "builtin", ...timeouts }, naming, pino({ level: "silent" }));
    undoing.push(() => proxy.close());
    await proxy.apply(first, AbortSignal.timeout(PATIENCE_MS));
    return { url: `http://127.0.0.1:${port}`, port, proxy };
  }

  it("rejects a table with shares of versions, and keeps its table", async () => {
    const a = await backend("A", "h1");
    const { url, proxy } = await router(table("A", { A: [endpoint(a)] }));
    const half = (version: string) => ({ version, share: 5_000, stage: null });
    const shared = { ...table("B", { A: [], B: [] }), unnamed: [half("A"), half("B")] };
    await assert.rejects(proxy.apply(shared, AbortSignal.timeout(60_000)), ProxyRejectedError);
    assert.equal((await ask(url)).version, "A");
  });

  it("takes the version from the header, else from the query, else from the cookie", async () => {
    const [a, b, c] = [await backend("A", "h1"), await backend("B", "h2"), await backend("C", "h3")];
    const { url } = await router(table("A", { A: [endpoint(a)], B: [endpoint(b)], C: [endpoint(c)] }));
    const cookie = { headers: { cookie: "x=1; app_version=C" } };
    assert.deepEqual(
      [
        (await ask(`${url}/?v=B`, "C")).version,
        (await ask(`${url}/?x=1&v=B`, undefined, cookie)).version,
        (await ask(url, undefined, cookie)).version,
        (await ask(url)).version,
      ],
      ["C", "B", "C", "A"],
    );
  });

  it("reads a version that a cookie has percent-encoded, and takes no version from what is no encoding", async () => {
    const [a, b] = [await backend("1.0+a", "h1"), await backend("B", "h2")];
    const { url } = await router(table("B", { "1.0+a": [endpoint(a)], B: [endpoint(b)] }));
    const named = async (cookie: string) => (await ask(url, undefined, { headers: { cookie } })).version;
    assert.equal(await named("app_version=1.0+a"), "1.0+a");
    assert.equal(await named("app_version=1.0%2Ba"), "1.0+a");
    assert.equal(await named("app_version=1.0%2"), "B");
  });

  it("forwards the request, the client's address and the response, but no hop-by-hop headers", async () => {
    const one = await backend("A", "h1", (request, response) => {
      response.writeHead(207, { "set-cookie": ["a=1", "b=2"], "keep-alive": "timeout=5", "x-app-version": "a lie" });
      response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
    });
    const { url, port } = await router(table("A", { A: [endpoint(one)] }));
    const headers = { "x-forwarded-for": "192.0.2.1", te: "trailers", "x-mine": "kept" };
    const answer = await ask(`${url}/a%20b?c=%2F`, undefined, { method: "DELETE", headers });
    const seen = JSON.parse(answer.text) as { method: string; url: string; headers: Record<string, string> };
    assert.deepEqual(
      [answer.status, answer.version, answer.headers.getSetCookie(), seen.method, seen.url],
      [207, "A", ["a=1", "b=2"], "DELETE", "/a%20b?c=%2F"],
    );
    const { host, te, connection } = seen.headers;
    assert.deepEqual([host, te, connection], [`127.0.0.1:${port}`, undefined, "keep-alive"]);
    assert.deepEqual(
      [seen.headers["x-forwarded-for"], seen.headers["x-forwarded-proto"], seen.headers["x-mine"]],
      ["192.0.2.1, 127.0.0.1", "http", "kept"],
    );
  });

  it("streams bodies in both directions", async () => {
    const one = await backend("A", "h1", (request, response) => {
      request.pipe(response);
    });
    const { url } = await router(table("A", { A: [endpoint(one)] }));
    const bytes = randomBytes(8 * 1024 * 1024);
    const response = await fetch(url, { method: "POST", body: bytes });
    const digest = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
    assert.equal(digest(new Uint8Array(await response.arrayBuffer())), digest(bytes));
  });

  it("tries another endpoint if one refuses the connection, also for a POST with a body", async () => {
    const one = await backend("A", "h1", (request, response) => {
      request.pipe(response);
    });
    const [closed] = (await freePorts(1, "127.0.3.1")) as [number];
    const dead = endpoint({ address: "127.0.3.1", port: closed }, "prod.dead.a", 1_000);
    const { url } = await router(table("A", { A: [dead, endpoint(one)] }));
    for (let i = 0; i < 5; i++) {
      const answer = await ask(url, undefined, { method: "POST", body: `order ${i}` });
      assert.deepEqual([answer.status, answer.text], [200, `order ${i}`]);
    }
  });

  it("does not repeat a POST that may have arrived", async () => {
    let got = 0;
    const cutting = await backend("A", "h1", (request) => {
      got++;
      request.socket.destroy();
    });
    const other = await backend("A", "h2", (request) => {
      got++;
      request.socket.destroy();
    });
    const { url } = await router(table("A", { A: [endpoint(cutting), endpoint(other)] }));
    assert.equal((await ask(url, undefined, { method: "POST", body: "once" })).status, 502);
    assert.equal(got, 1);
    assert.equal((await ask(url)).status, 502);
    assert.equal(got, 3, "a GET was tried on both");
  });

  it("answers 502, 503 or 504 with a reason", async () => {
    const [closed] = (await freePorts(1, "127.0.3.1")) as [number];
    const silent = await backend("B", "h1", () => {});
    const dead = endpoint({ address: "127.0.3.1", port: closed });
    const { url } = await router(table("C", { A: [dead], B: [endpoint(silent)], C: [] }), { response_timeout_ms: 200 });
    for (const [version, status, reason] of [
      ["A", 502, /no endpoint took a connection/],
      ["B", 504, /did not answer in time/],
      ["C", 503, /no version that may answer/],
    ] as const) {
      const answer = await ask(url, version);
      assert.equal(answer.status, status);
      assert.match(JSON.parse(answer.text).error.reason, reason);
      assert.equal(answer.headers.get("retry-after"), status === 503 ? "1" : null);
    }
  });

  it("lets a request end on an endpoint that leaves, and sends no new ones there", async () => {
    let finish: ServerResponse | undefined;
    const leaving = await backend("A", "h1", (_request, response) => {
      response.write("begun ");
      finish = response;
    });
    const staying = await backend("A", "h2");
    const { url, proxy } = await router(table("A", { A: [endpoint(leaving)] }));
    const response = await fetch(url);
    await proxy.apply(table("A", { A: [endpoint(staying)] }), AbortSignal.timeout(PATIENCE_MS));
    for (let i = 0; i < 5; i++) assert.match((await ask(url)).text, /h2/);
    finish?.end("and ended");
    assert.equal(await response.text(), "begun and ended");
    assert.equal(leaving.requests, 1);
  });

  it("aborts the request to the endpoint when the client goes away", async () => {
    let closed = false;
    const one = await backend("A", "h1", (request, response) => {
      response.write("first");
      request.socket.once("close", () => {
        closed = true;
      });
    });
    const { url } = await router(table("A", { A: [endpoint(one)] }));
    const gone = new AbortController();
    await fetch(url, { signal: gone.signal });
    gone.abort();
    await until("the endpoint's connection is closed", () => closed);
  });

  it("shares requests by the weights of the endpoints", async () => {
    const held: ServerResponse[] = [];
    const hold = (_request: unknown, response: ServerResponse) => void held.push(response);
    const [small, large] = [await backend("A", "h1", hold), await backend("A", "h2", hold)];
    const { url } = await router(table("A", { A: [endpoint(small, "prod.s.a", 1), endpoint(large, "prod.l.a", 3)] }));
    const asked = Array.from({ length: 16 }, () => ask(url));
    await until("all are under way", () => held.length === 16);
    assert.deepEqual([small.requests, large.requests], [4, 12]);
    for (const response of held) response.end();
    await Promise.all(asked);
  });

  it("forwards a connection that is upgraded", async () => {
    const server = createServer((socket) => {
      socket.once("data", (request) => {
        assert.match(request.toString(), /upgrade: websocket/i);
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        socket.on("data", (data) => socket.write(`echo ${data}`));
        socket.on("end", () => socket.end());
      });
    }).listen(0, "127.0.3.1");
    await once(server, "listening");
    undoing.push(() => server.close());
    const { port: to } = server.address() as { port: number };
    const { port } = await router(table("A", { A: [endpoint({ address: "127.0.3.1", port: to })] }));
    const socket = connect(port, "127.0.0.1");
    undoing.push(() => socket.destroy());
    let seen = "";
    socket.on("data", (data) => {
      seen += data;
    });
    socket.write("GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await until("the protocol is changed", () => /101 Switching[\s\S]*X-App-Version: A\r\n\r\n/.test(seen));
    socket.write("hello");
    await until("it is echoed", () => seen.endsWith("echo hello"));
    socket.end();
    await once(socket, "close");
  });

  it("refuses an upgrade if no endpoint may answer, or the endpoint refuses it", async () => {
    const plain = await backend("A", "h1");
    for (const [byDefault, status] of [
      ["A", "502"],
      ["B", "503"],
    ] as const) {
      const { port } = await router(table(byDefault, { A: [endpoint(plain)], B: [] }));
      const socket = connect(port, "127.0.0.1");
      socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      const [data] = (await once(socket, "data")) as [Buffer];
      assert.match(data.toString(), new RegExp(`^HTTP/1.1 ${status} `));
      socket.destroy();
    }
  });
});
