import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import type { ManagedProxy } from "../../../../edge/proxies/contract.ts";
import { VarnishCli } from "../../../../edge/proxies/varnish/cli.ts";
import { createVarnish, prepareVarnish } from "../../../../edge/proxies/varnish/index.ts";
import { Varnish } from "../../../support/proxies/varnish.ts";
import { PATIENCE_MS, until } from "../../../support/until.ts";
import { ask, said } from "../../real-proxy/ask.ts";
import { Endpoint } from "../../real-proxy/endpoint.ts";
import { naming, signal, tableOf } from "../../real-proxy/rules.ts";

const log = pino({ level: "silent" });
/** The name of one begins with the name of another. */
const SERVICES = ["shop", "shop_2", "blog-v0"] as const;
const TOP = [
  "vcl 4.1;",
  "backend default none;",
  "sub vcl_recv {",
  ...SERVICES.map((service) => `  if (req.http.host == "${service}.example") { return (vcl(slotd_${service})); }`),
  "  return (synth(404));",
  "}",
].join("\n");

describe("several services in one varnishd", () => {
  let server: Varnish;
  let cli: VarnishCli;
  const proxies = new Map<string, ManagedProxy>();
  const endpoints = new Map<string, Endpoint>();

  before(async () => {
    server = await Varnish.start({ naming });
    const { host, port, secret_file: secretFile } = server.config;
    cli = new VarnishCli({ host, port, secretFile, timeoutMs: PATIENCE_MS });
    for (const service of SERVICES) {
      const directory = join(dirname(server.config.directory), service);
      const config = { ...server.config, ...{ directory, shared: true, min_load_interval_ms: 100, settle_ms: 60_000 } };
      prepareVarnish(service, config, naming);
      proxies.set(service, createVarnish(service, config, naming, log));
      endpoints.set(service, await Endpoint.start("A", service));
    }
  });
  after(async () => {
    for (const proxy of proxies.values()) await proxy.close();
    cli.close();
    await server.stop();
    for (const endpoint of endpoints.values()) await endpoint.stop();
  });

  const proxyOf = (service: string) => proxies.get(service) as ManagedProxy;
  const tableFor = (service: string, version = "A") => ({
    ...tableOf({ [version]: [endpoints.get(service) as Endpoint] }, version),
    service,
  });
  const asked = (service: string, path = "/") => ask(server.url, { path, headers: { host: `${service}.example` } });
  const run = async (...words: string[]) => {
    const [answer] = await cli.runAll([words], signal);
    assert.equal(answer?.status, 200, answer?.text);
    return answer?.text ?? "";
  };
  /** Without what waits for its last request. */
  const vcls = async () => {
    const list = JSON.parse(await run("vcl.list", "-j")) as { name: string; status: string; state: string }[];
    return list.slice(3).filter(({ status, state }) => status !== "discarded" && state !== "label");
  };

  it("a table that no request can get to is refused, until a VCL sends requests to the label", async () => {
    for (const service of SERVICES) {
      await assert.rejects(proxyOf(service).apply(tableFor(service), signal), {
        name: "ProxyRejectedError",
        message: new RegExp(`no VCL of varnishd sends requests to the label slotd_${service}: load one`),
      });
      assert.equal(await proxyOf(service).isCurrent(signal), false);
    }
    const file = join(dirname(server.config.directory), "top.vcl");
    writeFileSync(file, TOP);
    await run("vcl.load", "top", file);
    await run("vcl.use", "top");
    for (const service of SERVICES) {
      await proxyOf(service).apply(tableFor(service), signal);
      assert.equal(await proxyOf(service).isCurrent(signal), true);
    }
    for (const service of SERVICES) assert.equal(said(await asked(service)).id, service);
    assert.equal((await asked("other")).status, 404);
  });

  it("a change of one service leaves the others' VCLs, and only its newest of its own", async () => {
    const before = await vcls();
    const isOthers = ({ name }: { name: string }) => !/^slotd_shop_[^_]+_[^_]+_\d+$/.test(name);
    await proxyOf("shop").apply(tableFor("shop", "B"), signal);
    await until("one VCL for each service", async () => (await vcls()).length === before.length);
    const now = await vcls();
    assert.deepEqual(now.filter(isOthers), before.filter(isOthers));
    assert.notDeepEqual(now, before);
    assert.equal((await asked("shop")).named, "B");
    for (const service of SERVICES) assert.equal(await proxyOf(service).isCurrent(signal), true);
  });

  it("a VCL of an older edge, and of an earlier process of this one, is discarded; another service's is not", async () => {
    const file = join(dirname(server.config.directory), "blog-v0/current.vcl");
    const idle = (await vcls()).map(({ name }) => name);
    const [older, earlier, foreign] = [
      "slotd_m1abc2de_0a1b2c3d_7",
      "slotd_shop_m1abc2de_0a1b2c3d_7",
      "slotd_shop_3_m1abc2de_0a1b2c3d_7",
    ] as const;
    for (const name of [older, earlier, foreign]) await run("vcl.load", name, file);
    await proxyOf("shop").apply(tableFor("shop", "C"), signal);
    await until("two are gone", async () => (await vcls()).length === idle.length + 1);
    const names = (await vcls()).map(({ name }) => name);
    assert.deepEqual(
      [older, earlier, foreign].map((name) => names.includes(name)),
      [false, false, true],
    );
    await run("vcl.discard", foreign);
  });

  it("a label that somebody else points elsewhere is noticed, and repaired", async () => {
    await run(
      "vcl.label",
      "slotd_shop",
      (await vcls()).find(({ name }) => name.startsWith("slotd_blog-v0_"))?.name ?? "",
    );
    assert.equal(said(await asked("shop")).id, "blog-v0");
    assert.equal(await proxyOf("shop").isCurrent(signal), false);
    await proxyOf("shop").apply(tableFor("shop"), signal);
    assert.equal(said(await asked("shop")).id, "shop");
    assert.equal(said(await asked("blog-v0")).id, "blog-v0");
  });

  it("services don't share what is cached, even where their requests look alike", async () => {
    const file = join(dirname(server.config.directory), "by-path.vcl");
    const paths = SERVICES.map(
      (service) => `  if (req.http.x-to == "${service}") { unset req.http.x-to; return (vcl(slotd_${service})); }`,
    );
    writeFileSync(file, ["vcl 4.1;", "backend default none;", "sub vcl_recv {", ...paths, "}"].join("\n"));
    await run("vcl.load", "by-path", file);
    await run("vcl.use", "by-path");
    for (const service of SERVICES) await proxyOf(service).apply(tableFor(service), signal);
    for (const service of [...SERVICES, ...SERVICES]) {
      const answer = await ask(server.url, { path: "/cached", headers: { "x-to": service } });
      assert.equal(said(answer).id, service);
    }
  });
});
