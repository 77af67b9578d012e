import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, it } from "node:test";
import type { VersionNaming } from "../../edge/table/table.ts";
import { Haproxy } from "../support/proxies/haproxy.ts";
import { Varnish } from "../support/proxies/varnish.ts";
import { useEdgeFleet } from "./fleet.ts";

/** No default among them: a proxy that ignores the configuration fails here. */
const naming: VersionNaming = { header: "X-Release", query: "release", cookie: "rel" };
const config = { min_load_interval_ms: 100 };
const proxies = {
  builtin: null,
  HAProxy: (names: VersionNaming) => Haproxy.start({ naming: names }),
  Varnish: (names: VersionNaming) => Varnish.start({ naming: names, config }),
};

/** An app whose response headers are what the path says, as JSON. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  const { searchParams } = new URL(request.url ?? "/", "http://app");
  const headers = JSON.parse(searchParams.get("headers") ?? "{}") as Record<string, string | string[]>;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end("{}");
}

const words = (header: string | null) =>
  (header ?? "")
    .toLowerCase()
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "")
    .sort();

for (const [kind, start] of Object.entries(proxies)) {
  describe(`names of versions and what caches are told: ${kind}`, () => {
    const fleet = useEdgeFleet();

    async function running(names: VersionNaming) {
      const nats = await fleet.nats();
      const members = await fleet.members(nats.url);
      for (const [version, host] of [
        ["A", "h1"],
        ["B", "h2"],
      ] as const)
        await members.member(await fleet.backend(version, host, echo));
      const server = await start?.(names);
      if (server) fleet.onEnd(() => server.stop());
      const given = server && Object.entries(server.config).filter(([, value]) => value !== undefined);
      const settings = { naming: Object.fromEntries(Object.entries(names).filter(([, name]) => name !== null)) };
      const edge = await fleet.edge({
        ...{ nats: nats.url, settings },
        ...(server && { url: server.url, proxy: { ...Object.fromEntries(given ?? []), kind: server.config.kind } }),
      });
      await edge.untilAcknowledged({ routes: await members.routes({ default: "B", serving: ["A", "B"] }) });
      await edge.untilStatus("both", ({ endpoints }) => endpoints === 2);
      return edge;
    }

    it("are those of the configuration, and an empty one names nothing", async () => {
      const edge = await running(naming);
      const version = async (path: string, headers: Record<string, string> = {}) => {
        const response = await fetch(new URL(path, edge.url), { headers });
        await response.arrayBuffer();
        return response.headers.get("x-release");
      };
      assert.equal(await version("/"), "B");
      assert.equal(await version("/", { "X-Release": "A" }), "A");
      assert.equal(await version("/?release=A"), "A");
      assert.equal(await version("/", { Cookie: "rel=A" }), "A");
      assert.equal(await version("/?app_version=A&v=A", { "X-App-Version": "A", Cookie: "app_version=A" }), "B");
      assert.equal(await version("/?release=A", { "X-Release": "" }), "A", "the header is empty");
      assert.equal(await version("/?release=", { Cookie: "rel=A" }), "A", "the parameter is empty");
      assert.equal(await version("/", { Cookie: "rel=; other=A" }), "B", "the cookie is empty");
    });

    it("vary on the header, and on the cookie only where it routes; a response that sets a cookie is private", async () => {
      for (const names of [naming, { ...naming, cookie: null }]) {
        const edge = await running(names);
        const told = async (sent: Record<string, string | string[]>) => {
          const url = new URL(`/?headers=${encodeURIComponent(JSON.stringify(sent))}`, edge.url);
          const { headers } = await fetch(url);
          return [words(headers.get("vary")), words(headers.get("cache-control"))];
        };
        const vary = names.cookie === null ? ["x-release"] : ["cookie", "x-release"];
        assert.deepEqual(await told({}), [vary, []]);
        assert.deepEqual(await told({ vary: "Accept-Encoding" }), [["accept-encoding", ...vary], []]);
        assert.deepEqual(await told({ vary: "x-release, Cookie" }), [["cookie", "x-release"], []], "not twice");
        const isPublic = { "cache-control": "public, max-age=60" };
        assert.deepEqual(await told(isPublic), [vary, ["max-age=60", "public"]], "as the app says, without a cookie");
        const cookie = { "set-cookie": ["rel=A; Path=/", "sid=1"] };
        assert.deepEqual(await told({ ...cookie, ...isPublic }), [vary, ["max-age=60", "private"]]);
        assert.deepEqual(await told(cookie), [vary, ["private"]]);
        for (const kept of ["no-store", "private, max-age=5"])
          assert.deepEqual(await told({ ...cookie, "cache-control": kept }), [vary, words(kept)]);
        assert.deepEqual(await told({ ...cookie, "cache-control": "no-cache" }), [vary, ["no-cache", "private"]]);
      }
    });
  });
}
