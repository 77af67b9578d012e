import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, it } from "node:test";
import type { HaproxyConfig } from "../../../edge/proxies/haproxy/index.ts";
import type { VarnishConfig } from "../../../edge/proxies/varnish/index.ts";
import { until } from "../../support/until.ts";
import { ask, useEdgeFleet } from "../fleet.ts";
import { Endpoint, type Said } from "./endpoint.ts";
import type { RealProxy } from "./rules.ts";
import { Users } from "./users.ts";

interface ConfiguredProxy extends RealProxy {
  config: VarnishConfig | HaproxyConfig;
}

/** Makes the proxy refuse a fourth version, and accept it again. */
export interface Spoiler<P> {
  spoil(server: P): void;
  fix(server: P): void;
}

/** What slotd-edge has to do with a proxy, end to end: from the bus to the responses that users get, and back. */
export function edgeRules<P extends ConfiguredProxy>(
  kind: string,
  start: () => Promise<P>,
  { spoil, fix }: Spoiler<P>,
): void {
  describe(`slotd-edge with ${kind}`, () => {
    const fleet = useEdgeFleet();

    /** A version's server that records the highest number of a user's request that reached it. */
    async function app(version: string, host: string) {
      let last = 0;
      const answer = async (request: IncomingMessage, response: ServerResponse) => {
        last = Math.max(last, Number(request.url?.slice(1)) || 0);
        let bodyBytes = 0;
        for await (const chunk of request) bodyBytes += (chunk as Buffer).length;
        const said: Said = { version, id: host, method: request.method ?? "", bodyBytes };
        response.setHeader("content-type", "application/json").end(JSON.stringify(said));
      };
      const backend = await fleet.backend(version, host, (...args) => void answer(...args));
      return { backend, lastRequest: () => last };
    }

    /** Two hosts that serve A and one that serves B; the default is A. */
    async function running() {
      const server = await start();
      fleet.onEnd(() => server.stop());
      const nats = await fleet.nats();
      const members = await fleet.members(nats.url);
      const [a1, a2, b] = [await app("A", "h1"), await app("A", "h2"), await app("B", "h3")];
      for (const { backend } of [a1, a2]) await members.member(backend);
      const serversets = await members.member(b.backend);
      const proxy = Object.fromEntries(Object.entries(server.config).filter(([, value]) => value !== undefined));
      const edge = await fleet.edge({
        nats: nats.url,
        proxy: { ...proxy, kind: server.config.kind },
        url: server.url,
      });
      const routes = await members.routes({ default: "A", serving: ["A", "B"] });
      const status = await edge.untilAcknowledged({ routes, serversets });
      return { server, members, edge, a1, a2, b, routes, status };
    }

    it("routes by the version that a request names, and sends nothing by the old table after an acknowledgement", async () => {
      const { server, members, edge, a1, a2, b, status } = await running();
      assert.deepEqual(
        [status.proxy, status.serving, status.default, status.endpoints],
        [server.config.kind, ["A", "B"], "A", 3],
      );
      assert.deepEqual(
        [(await ask(edge.url, "A")).version, (await ask(edge.url, "B")).version, (await ask(edge.url)).version],
        ["A", "B", "A"],
      );
      const users = new Users(edge.url, [null, "A", "B"], () => true, 4);
      const served = async (begun: number) => {
        await until("users asked on", () => users.requests > begun + 60);
      };

      const withdrawn = await members.member(a1.backend, { status: "STOPPING" });
      assert.equal((await edge.untilAcknowledged({ serversets: withdrawn })).endpoints, 2);
      const withoutA1 = users.requests;
      await served(withoutA1);
      assert(a1.lastRequest() <= withoutA1, "no later request reached it");
      assert(a2.lastRequest() > withoutA1, "the other endpoint of its version serves");

      const switched = await members.routes({ default: "B", serving: ["A", "B"] });
      assert.equal((await edge.untilAcknowledged({ routes: switched })).default, "B");
      assert.equal((await ask(edge.url)).version, "B");
      assert.equal((await ask(edge.url, "A")).version, "A");

      const back = await members.member(a1.backend);
      await edge.untilAcknowledged({ serversets: back });
      const withA1 = users.requests;
      await until("it serves again", () => a1.lastRequest() > withA1);
      await users.end();
      assert.deepEqual(users.failures, []);

      const without = await members.routes({ default: "B", serving: ["B"] });
      assert.deepEqual((await edge.untilAcknowledged({ routes: without })).serving, ["B"]);
      assert.equal((await ask(edge.url, "A")).version, "B");
      assert(b.lastRequest() > 0);
    });

    it("is killed together with its proxy; restarted alone, the proxy sends every request to the right endpoint", async () => {
      const { server, edge, a1, a2, b } = await running();
      await edge.kill();
      await server.kill();
      // Other programs listen on 127.0.0.1 with the endpoints' ports.
      const strangers = await Promise.all(
        [a1, a2, b].map(({ backend: { port } }) => Endpoint.start("X", "stranger", { address: "127.0.0.1", port })),
      );
      fleet.onEnd(() => Promise.all(strangers.map((stranger) => stranger.stop())));
      await server.restart();
      const users = new Users(edge.url, [null, "A", "B"], () => true, 4);
      await until("users asked", () => users.requests > 200);
      await users.end();
      assert.deepEqual([users.failures, [...users.versions.keys()].sort()], [[], ["A", "B"]]);
      assert.deepEqual(
        strangers.map(({ requests }) => requests),
        [0, 0, 0],
      );
    });

    it("acknowledges nothing while the proxy is down, and acknowledges again when it is back", async () => {
      const { server, members, edge } = await running();
      await server.kill();
      const down = await edge.untilStatus("the proxy is down", ({ problems }) => problems[0]?.code === "PROXY_DOWN");
      assert.deepEqual(
        [down.appliedRoutes, down.appliedServersets, down.endpoints, down.serving, down.default],
        [0, 0, 0, [], null],
      );
      const routes = await members.routes({ default: "B", serving: ["A", "B"] });
      await server.restart();
      const status = await edge.untilAcknowledged({ routes });
      assert.deepEqual([status.default, status.endpoints, status.problems], ["B", 3, []]);
      assert.equal((await ask(edge.url)).version, "B");
      assert.equal((await ask(edge.url, "A")).version, "A");
    });

    it("does not acknowledge what the proxy refuses, and the previous table stays", async () => {
      const { server, members, edge, routes } = await running();
      await members.member((await app("C", "h4")).backend);
      await members.member((await app("D", "h5")).backend);
      spoil(server);
      await members.routes({ default: "D", serving: ["A", "B", "C", "D"] });
      const refused = await edge.untilStatus(
        "the proxy refuses",
        ({ problems }) => problems[0]?.code === "PROXY_REJECTED",
      );
      assert.deepEqual(
        [refused.appliedRoutes, refused.serving, refused.default, refused.endpoints],
        [routes, ["A", "B"], "A", 3],
      );
      assert.deepEqual(
        [(await ask(edge.url)).version, (await ask(edge.url, "B")).version, (await ask(edge.url, "D")).version],
        ["A", "B", "A"],
      );
      fix(server);
      const good = await members.routes({ default: "C", serving: ["B", "C"] });
      const status = await edge.untilAcknowledged({ routes: good });
      assert.deepEqual([status.default, status.endpoints, status.problems], ["C", 2, []]);
      assert.equal((await ask(edge.url)).version, "C");
    });
  });
}
