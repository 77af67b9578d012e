import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Edge } from "../support/edge.ts";
import { Haproxy } from "../support/proxies/haproxy.ts";
import { Varnish } from "../support/proxies/varnish.ts";
import { repository } from "../support/release.ts";
import { until } from "../support/until.ts";
import { ask, useEdgeFleet } from "./fleet.ts";

/** What slotd-edge 0.1.0 and its proxies wrote: `1.0+a` and `B` are served, `B` is the default. */
const written = join(repository, "test/fixtures/0.1.0/proxies");
const VERSIONS = { "1.0+a": { address: "127.83.7.1", port: 18431 }, B: { address: "127.83.7.2", port: 18432 } };
const FEW = { places: 3, servers_per_place: 3 };

describe("after an upgrade from 0.1.0, without a bus", () => {
  const fleet = useEdgeFleet();

  /** A directory with these files, in which the ports are those of real endpoints. */
  async function filesOf(...names: string[]) {
    const ports = new Map<string, string>();
    for (const [version, { address, port }] of Object.entries(VERSIONS)) {
      const backend = await fleet.backend(version, version, undefined, address);
      ports.set(String(port), String(backend.port));
    }
    const directory = mkdtempSync(join(tmpdir(), "slotd-edge-older-"));
    fleet.onEnd(() => rmSync(directory, { recursive: true }));
    chmodSync(directory, 0o755);
    const read = (name: string) =>
      readFileSync(join(written, name), "utf8").replace(/\b1843[12]\b/g, (port) => ports.get(port) as string);
    for (const name of names) {
      const path = join(directory, name.replace(/^varnish\//, ""));
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, read(name));
    }
    return { directory, lastGood: read("last-good.json") };
  }

  type Proxy = { url: string; config: { kind: "varnish" | "haproxy" } };
  const answersOf = async ({ url }: Proxy) => [(await ask(url)).version, (await ask(url, "1.0+a")).version];

  /** An edge starts from its own file, and the proxy then routes by that table. */
  async function takesOver(proxy: Proxy, lastGood: string) {
    const nats = await fleet.nats();
    await nats.kill();
    const edge = await Edge.create({ nats: nats.url, url: proxy.url, proxy: { ...proxy.config } });
    fleet.onEnd(() => edge.close());
    mkdirSync(edge.state);
    writeFileSync(edge.stateFile, lastGood);
    await edge.begin();
    await until("the edge applied its table", () => edge.log().includes('"table applied"'), { timeoutMs: 60_000 });
    assert.deepEqual(await answersOf(proxy), ["B", "1.0+a"]);
    assert.match(readFileSync(edge.stateFile, "utf8"), /^\{"format":1,"service":"web"/);
    return edge.log();
  }

  it("HAProxy starts from its files, and the edge takes it over", async () => {
    const { directory, lastGood } = await filesOf("haproxy/routes.map", "haproxy/servers.state");
    symlinkSync("haproxy", join(directory, "current"));
    const haproxy = await Haproxy.start({ config: { directory, ...FEW } });
    fleet.onEnd(() => haproxy.stop());
    assert.deepEqual(await answersOf(haproxy), ["B", "1.0+a"], "without slotd-edge");
    assert.doesNotMatch(await takesOver(haproxy, lastGood), /base configuration/);
  });

  it("varnishd starts from its file, and the edge takes it over", async () => {
    const { directory, lastGood } = await filesOf("varnish/current.vcl");
    const varnish = await Varnish.start({ config: { directory, min_load_interval_ms: 100 } });
    fleet.onEnd(() => varnish.stop());
    assert.deepEqual(await answersOf(varnish), ["B", "1.0+a"], "without slotd-edge");
    await takesOver(varnish, lastGood);
  });
});
