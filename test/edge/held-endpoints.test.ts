import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Haproxy } from "../support/proxies/haproxy.ts";
import { Varnish } from "../support/proxies/varnish.ts";
import { PATIENCE_MS, until } from "../support/until.ts";
import { ask, useEdgeFleet } from "./fleet.ts";

const proxies = {
  builtin: null,
  HAProxy: () => Haproxy.start(),
  Varnish: () => Varnish.start({ config: { min_load_interval_ms: 100 } }),
};

describe("endpoints that are only held back", () => {
  const fleet = useEdgeFleet();

  for (const [kind, start] of Object.entries(proxies)) {
    it(`leave when they refuse connections, and come back, without a failed request: ${kind}`, {
      timeout: 4 * PATIENCE_MS,
    }, async () => {
      const nats = await fleet.nats();
      const members = await fleet.members(nats.url);
      const hosts = ["h1", "h2", "h3"];
      const backends = await Promise.all(hosts.map((host) => fleet.backend("A", host)));
      for (const backend of backends) await members.member(backend);
      const server = await start?.();
      if (server) fleet.onEnd(() => server.stop());
      const proxy =
        server && Object.fromEntries(Object.entries(server.config).filter(([, value]) => value !== undefined));
      const edge = await fleet.edge({
        nats: nats.url,
        ...(server && { proxy: { ...proxy, kind: server.config.kind }, url: server.url }),
      });
      await edge.untilAcknowledged({ routes: await members.routes({ default: "A", serving: ["A"] }) });
      await edge.untilStatus("3 endpoints", ({ endpoints }) => endpoints === 3);

      const failed: string[] = [];
      let asked = 0;
      let over = false;
      const users = Promise.all(
        [1, 2].map(async () => {
          while (!over) {
            const { status, text } = await ask(edge.url).catch((error) => ({ status: 0, text: String(error) }));
            if (status !== 200) failed.push(`${status} ${text}`);
            asked++;
          }
        }),
      );
      for (const host of hosts) members.forsake(members.key(host));
      await edge.untilStatus("all are held back", ({ heldBack }) => heldBack === 3);
      const [one, two, last] = backends;
      for (const [left, backend] of [[2, one] as const, [1, two] as const]) {
        await backend?.stop();
        await edge.untilStatus(`${left} are left`, (status) => status.endpoints === left && status.heldBack === left);
      }
      const before = last?.requests ?? 0;
      await until("what is left serves", () => (last?.requests ?? 0) > before + 20);
      await one?.restart();
      await edge.untilStatus("it is back", ({ endpoints, heldBack }) => endpoints === 2 && heldBack === 2);
      const again = one?.requests ?? 0;
      await until("it serves", () => (one?.requests ?? 0) > again + 20);
      over = true;
      await users;
      assert.deepEqual([failed, asked > 100], [[], true]);

      await Promise.all([one?.stop(), last?.stop()]);
      const none = await edge.untilStatus("none is left", ({ endpoints }) => endpoints === 0);
      assert.equal(none.heldBack, 0);
      assert.equal((await ask(edge.url)).status, 503);
    });
  }
});
