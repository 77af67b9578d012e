import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";
import { endAll, run } from "../controller-stub/cli.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { Haproxy } from "../support/proxies/haproxy.ts";
import { makeRelease, repository } from "../support/release.ts";
import { PATIENCE_MS } from "../support/until.ts";
import { ask, useEdgeFleet } from "./fleet.ts";

// biome-ignore lint/suspicious/noExplicitAny: a configuration file, of which single keys are replaced
const shipped = (name: string): any => parse(readFileSync(join(repository, "systemd", name), "utf8"));

describe("the shipped configurations, with HAProxy", () => {
  const hosts = useHosts();
  const fleet = useEdgeFleet();
  afterEach(endAll);

  /** The agent's example, but for its paths, ports and app: it listens at 0.0.0.0 and does not say `advertise`. */
  async function host() {
    const { bind, stage, app, readiness, drain } = shipped("example.toml");
    assert.equal(bind, "0.0.0.0");
    const command = [process.execPath, "app.mjs"];
    const started = await hosts.start({ stage, app: { ...app, command, workers: 2 }, readiness, drain }, { bind });
    const { url } = await makeRelease(started.archives, "1", { app: "app.mjs" });
    return { started, file: fileURLToPath(url) };
  }

  /** The edge's example, but for its paths and ports. */
  async function edge(settings: Record<string, unknown> = {}) {
    const { naming, proxy } = shipped("example-edge.toml");
    assert.equal(proxy.kind, "haproxy");
    const server = await Haproxy.start({ naming: { query: null, cookie: null, ...naming } });
    fleet.onEnd(() => server.stop());
    const given = Object.entries(server.config).filter(([, value]) => value !== undefined);
    return fleet.edge({
      ...{ nats: hosts.nats.url, url: server.url, proxy: { ...Object.fromEntries(given), kind: "haproxy" as const } },
      settings: { naming, networks: undefined, ...settings },
    });
  }

  it("make a site that answers", { timeout: 3 * PATIENCE_MS }, async () => {
    const { started, file } = await host();
    const running = await edge();
    for (const args of [
      ["publish", "web", "1", file],
      ["deploy", "web", "1"],
    ]) {
      const { code, stdout, stderr } = await run(hosts.nats.url, ...args);
      assert.equal(code, 0, `${stdout} ${stderr}`);
    }
    const answer = await ask(running.url);
    assert.deepEqual([answer.status, answer.version], [200, "1"]);
    assert.notEqual((await started.member("a"))?.serviceEndpoint.host, started.name);
  });

  it("halt the deploy if the edge can use no host, and say why", { timeout: 3 * PATIENCE_MS }, async () => {
    const { started, file } = await host();
    const running = await edge({ networks: ["203.0.113.0/24"] });
    await run(hosts.nats.url, "publish", "web", "2", file);
    const { code, stderr } = await run(hosts.nats.url, "deploy", "web", "2", "--only", started.name);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /EDGES_REFUSED: .*ROUTES_UNSERVED: .*web\.prod\.h\d+\.[ab]: .* outside this edge's networks/);
    assert.equal((await running.status())?.appliedRoutes, 0);
    assert.equal((await ask(running.url)).status, 503);
  });
});
