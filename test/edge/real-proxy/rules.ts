import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { type ManagedProxy, ProxyDownError } from "../../../edge/proxies/contract.ts";
import type { Table, VersionNaming } from "../../../edge/table/table.ts";
import { allTo } from "../../../edge/table/unnamed.ts";
import { PATIENCE_MS, until } from "../../support/until.ts";
import { ask, said } from "./ask.ts";
import { Endpoint } from "./endpoint.ts";
import { Users } from "./users.ts";

export const naming: VersionNaming = { header: "X-App-Version", query: "v", cookie: "app_version" };
export const signal = AbortSignal.timeout(300_000);

/** A real proxy process. */
export interface RealProxy {
  url: string;
  address: string;
  port: number;
  pid: number;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param versions version → endpoints */
export function tableOf(
  versions: Record<string, Endpoint[]>,
  byDefault: string | null,
  fallback: string | null = null,
): Table {
  return {
    service: "web",
    epoch: 1,
    routesRevision: 1,
    serversetsRevision: 1,
    unnamed: byDefault === null ? [] : allTo(byDefault),
    fallback,
    versions: Object.entries(versions).map(([version, endpoints]) => ({
      version,
      endpoints: endpoints.map((endpoint) => endpoint.inTable(2)).sort((a, b) => (a.id < b.id ? -1 : 1)),
    })),
  };
}

/** What every proxy has to do, tested with a real proxy and real endpoints. */
export function proxyRules<P extends RealProxy>(
  kind: string,
  start: () => Promise<P>,
  attach: (server: P) => ManagedProxy,
): void {
  describe(kind, () => {
    let server: P;
    let proxy: ManagedProxy;
    let a1: Endpoint;
    let a2: Endpoint;
    let b1: Endpoint;
    let b2: Endpoint;
    const extra: Endpoint[] = [];
    const endpoint = async (version: string, id: string) => {
      const made = await Endpoint.start(version, id);
      extra.push(made);
      return made;
    };

    before(async () => {
      server = await start();
      proxy = attach(server);
      [a1, a2, b1, b2] = await Promise.all([
        Endpoint.start("1.0+a", "a1"),
        Endpoint.start("1.0+a", "a2"),
        Endpoint.start("B", "b1"),
        Endpoint.start("B", "b2"),
      ]);
    });
    after(async () => {
      await proxy.close();
      await server.stop();
      await Promise.all([a1, a2, b1, b2].map((e) => e.stop()));
    });
    afterEach(async () => {
      await Promise.all(extra.splice(0).map((e) => e.stop()));
    });

    const apply = async (table: Table) => {
      await proxy.apply(table, signal);
      await proxy.persist?.();
    };
    const both = () => ({ "1.0+a": [a1, a2], B: [b1, b2] });

    it("answers every request with 503 and a reason before there are routes", async () => {
      const unapplied = await ask(server.url);
      assert.equal(unapplied.status, 503);
      await apply(tableOf({}, null));
      const answer = await ask(server.url);
      assert.equal(answer.status, 503);
      assert.equal(answer.headers["content-type"], "application/json");
      assert.equal(JSON.parse(answer.body).code, "NO_ROUTES");
      assert.equal(answer.named, undefined);
    });

    it("a request gets the version that it names by header, else by query, else by cookie, and otherwise the default", async () => {
      await apply(tableOf(both(), "B"));
      const version = async (path: string, headers: Record<string, string> = {}) => {
        const answer = await ask(server.url, { path, headers });
        assert.equal(answer.status, 200, answer.body);
        assert.equal(
          answer.named,
          said(answer).version,
          "the proxy names the version that answered, whatever the app says",
        );
        return said(answer).version;
      };
      assert.equal(await version("/"), "B");
      assert.equal(await version("/", { "X-App-Version": "1.0+a" }), "1.0+a");
      assert.equal(await version("/", { "X-App-Version": "B" }), "B");
      assert.equal(await version("/", { "X-App-Version": "unknown" }), "B");
      assert.equal(await version("/", { "X-App-Version": "1.0+A" }), "B", "compared byte for byte");
      assert.equal(await version("/", { "X-App-Version": ":default" }), "B");
      assert.equal(await version("/?v=1.0%2Ba"), "1.0+a");
      assert.equal(await version("/x?y=1&v=1.0+a&z=2"), "1.0+a");
      assert.equal(await version("/?xv=1.0%2Ba"), "B");
      assert.equal(await version("/?v=1.0%2Ba&v=B"), "1.0+a", "the first of two");
      assert.equal(await version("/v=1.0%2Ba"), "B", "a path is not a query");
      assert.equal(await version("/", { Cookie: "other=1; app_version=1.0+a; more=2" }), "1.0+a");
      assert.equal(await version("/", { Cookie: "app_version=1.0%2Ba" }), "1.0+a", "as encodeURIComponent writes it");
      assert.equal(await version("/", { Cookie: "app_version=1.0%2" }), "B", "not an encoding");
      assert.equal(await version("/", { Cookie: "my_app_version=1.0+a" }), "B");
      assert.equal(await version("/?v=B", { "X-App-Version": "1.0+a" }), "1.0+a", "the header is asked first");
      assert.equal(await version("/?v=B", { Cookie: "app_version=1.0+a" }), "B", "then the query");
      assert.equal(await version("/", { "slotd-version": "1.0+a", "slotd-asked": "1.0+a" }), "B");
    });

    it("without an endpoint, a version is replaced by the default, that by the fallback, and that by 503", async () => {
      await apply(tableOf({ "1.0+a": [], B: [b1] }, "B", "1.0+a"));
      assert.equal((await ask(server.url, { headers: { "X-App-Version": "1.0+a" } })).named, "B");
      await apply(tableOf({ "1.0+a": [a1], B: [] }, "B", "1.0+a"));
      assert.equal((await ask(server.url)).named, "1.0+a");
      assert.equal((await ask(server.url, { headers: { "X-App-Version": "B" } })).named, "1.0+a");
      await apply(tableOf({ "1.0+a": [a1], B: [] }, "B", null));
      const none = await ask(server.url);
      assert.equal(none.status, 503);
      assert.equal(JSON.parse(none.body).code, "NO_ENDPOINT");
      assert.equal((await ask(server.url, { headers: { "X-App-Version": "1.0+a" } })).named, "1.0+a");
    });

    it("no request fails or gets the wrong version while defaults, versions and endpoints change", async () => {
      const [c1, c2] = [await endpoint("C", "c1"), await endpoint("C", "c2")];
      const tables: [Record<string, Endpoint[]>, string][] = [
        [both(), "B"],
        [both(), "1.0+a"],
        [{ "1.0+a": [a1], B: [b1, b2] }, "1.0+a"],
        [{ "1.0+a": [a1, a2], B: [b2] }, "B"],
        [{ B: [b1, b2] }, "B"],
        [{ B: [b1, b2], C: [c1, c2] }, "B"],
        [{ B: [b1, b2], C: [c1, c2] }, "C"],
        [{ B: [b1], C: [c2] }, "C"],
        [{ B: [b2], C: [c1] }, "B"],
        [{ "1.0+a": [a2], C: [c1] }, "1.0+a"],
        [both(), "B"],
      ];
      await apply(tableOf(...(tables[0] as [Record<string, Endpoint[]>, string])));
      /** Versions that are in both the previous table and the one that is being applied. */
      let served = new Set(Object.keys(both()));
      const users = new Users(server.url, [null, "1.0+a", "B", "C"], (version) => served.has(version));
      let before = tables[0]?.[0] ?? {};
      for (const [versions, byDefault] of tables.slice(1)) {
        served = new Set(Object.keys(before).filter((version) => version in versions));
        await apply(tableOf(versions, byDefault));
        const seen = users.requests;
        served = new Set(Object.keys(versions));
        await until("users asked on", () => users.requests > seen + 150);
        const inTable = new Set(Object.values(versions).flat());
        for (const gone of [a1, a2, b1, b2, c1, c2].filter((e) => !inTable.has(e)))
          assert.ok(gone.lastNumber <= seen, `${gone.id} was sent request ${gone.lastNumber}, and ${seen} was before`);
        before = versions;
      }
      await users.end();
      assert.deepEqual(users.failures, []);
      assert.ok(users.requests > 1_500);
    });

    it("no request fails because of an endpoint that refuses connections while others take them", async () => {
      const dying = await endpoint("B", "b0");
      await apply(tableOf({ B: [b1, b2, dying] }, "B"));
      await until("it serves", async () => said(await ask(server.url)).id === "b0");
      await dying.stop();
      extra.length = 0;
      const users = new Users(server.url, [null], () => true, 4);
      await until("users asked", () => users.requests > 600);
      await users.end();
      assert.deepEqual(users.failures, []);
      await apply(tableOf(both(), "B"));
    });

    it("a long download and an upgraded connection continue after their version is withdrawn", async () => {
      const c1 = await endpoint("C", "c1");
      await apply(tableOf({ ...both(), C: [c1] }, "B"));
      const headers = { "X-App-Version": "C" };
      const call = request(new URL("/stream", server.url), { headers }).end();
      const [response] = await once(call, "response");
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      await until("the download has begun", () => body === "begin");
      const socket = connect(server.port, server.address);
      let heard = "";
      socket.setEncoding("utf8").on("data", (text: string) => (heard += text));
      socket.write(
        "GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-App-Version: C\r\nSec-WebSocket-Key: x\r\n\r\n",
      );
      await until("it was upgraded", () => heard.includes("C:"));
      assert.match(heard, /^HTTP\/1\.1 101 /);
      await apply(tableOf(both(), "1.0+a"));
      assert.equal((await ask(server.url, { headers })).named, "1.0+a");
      socket.write("still there");
      await until("it echoes", () => heard.endsWith("still there"));
      c1.finishStreams();
      await once(response, "end");
      assert.equal(body, "beginend");
      socket.destroy();
    });

    it("a stream reaches the client as it is sent, also beside another one of the same URL", async () => {
      await apply(tableOf({ B: [b1] }, "B"));
      const streams = await Promise.all(
        [1, 2].map(async () => {
          const call = request(new URL("/stream/same", server.url)).end();
          const [response] = await once(call, "response", { signal: AbortSignal.timeout(PATIENCE_MS) });
          await once(response, "data");
          return response.resume();
        }),
      );
      b1.finishStreams();
      await Promise.all(streams.map((stream) => once(stream, "end")));
    });

    it("a killed proxy is reported as down; restarted alone, it routes by the last table, and takes the next one", async () => {
      await apply(tableOf(both(), "1.0+a"));
      await apply(tableOf({ "1.0+a": [a2], B: [b1, b2] }, "B"));
      assert.equal(await proxy.isCurrent(signal), true);
      await server.kill();
      await assert.rejects(apply(tableOf(both(), "1.0+a")), ProxyDownError);
      await assert.rejects(proxy.isCurrent(signal), ProxyDownError);
      // Another program, at 127.0.0.1 and with an endpoint's port, gets none of its requests.
      for (const { port } of [a2, b1, b2]) extra.push(await Endpoint.start("X", "x", { address: "127.0.0.1", port }));
      await server.restart();
      for (let i = 0; i < 10; i++) {
        const byDefault = await ask(server.url);
        assert.deepEqual([byDefault.status, byDefault.named, said(byDefault).version], [200, "B", "B"]);
        const answer = await ask(server.url, { headers: { "X-App-Version": "1.0+a" } });
        assert.equal(said(answer).id, "a2", "the withdrawn endpoint stays withdrawn");
      }
      assert.deepEqual(
        extra.map(({ requests }) => requests),
        [0, 0, 0],
      );
      assert.equal(await proxy.isCurrent(signal), false);
      await apply(tableOf(both(), "1.0+a"));
      assert.equal(await proxy.isCurrent(signal), true);
      assert.equal((await ask(server.url)).named, "1.0+a");
    });

    it("a proxy that is started alone spreads requests by the weights of the last table, not by equal ones", async () => {
      const [heavy, light] = [b1.inTable(9), b2.inTable(1)];
      const endpoints = [heavy, light].sort((x, y) => (x.id < y.id ? -1 : 1));
      await apply({ ...tableOf({}, "B"), versions: [{ version: "B", endpoints }] });
      await server.restart();
      const before = [b1.requests, b2.requests] as const;
      for (let i = 0; i < 100; i++) assert.equal((await ask(server.url)).status, 200);
      const [many, few] = [b1.requests - before[0], b2.requests - before[1]];
      assert(many > 70 && few < 30 && many + few === 100, `${many} and ${few}`);
    });

    it("a restarted edge takes over the running proxy, and no request fails", async () => {
      await apply(tableOf(both(), "1.0+a"));
      const users = new Users(server.url, [null, "B"], () => true, 4);
      await proxy.close();
      proxy = attach(server);
      assert.equal(await proxy.isCurrent(signal), false);
      await apply(tableOf({ "1.0+a": [a1], B: [b1, b2] }, "B"));
      assert.equal(await proxy.isCurrent(signal), true);
      await until("users asked", () => users.requests > 200);
      await users.end();
      assert.deepEqual(users.failures, []);
    });
  });
}
