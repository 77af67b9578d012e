import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { pino } from "pino";
import { type ManagedProxy, ProxyDownError, ProxyRejectedError } from "../../../../edge/proxies/contract.ts";
import { VarnishCli } from "../../../../edge/proxies/varnish/cli.ts";
import { createVarnish } from "../../../../edge/proxies/varnish/index.ts";
import { Varnish } from "../../../support/proxies/varnish.ts";
import { PATIENCE_MS, until } from "../../../support/until.ts";
import { ask, said } from "../../real-proxy/ask.ts";
import { Endpoint } from "../../real-proxy/endpoint.ts";
import { naming, proxyRules, signal, tableOf } from "../../real-proxy/rules.ts";
import { Users } from "../../real-proxy/users.ts";

const log = pino({ level: "silent" });
const config = { min_load_interval_ms: 100, settle_ms: 60_000 };

proxyRules(
  "Varnish",
  () => Varnish.start({ naming, config }),
  (server) => createVarnish("web", server.config, naming, log),
);

describe("Varnish without compilations", () => {
  let server: Varnish;
  let proxy: ManagedProxy;
  let cli: VarnishCli;
  const endpoints: Endpoint[] = [];
  const [a1, a2, b1] = [0, 1, 2].map((i) => () => endpoints[i] as Endpoint) as [
    () => Endpoint,
    () => Endpoint,
    () => Endpoint,
  ];

  before(async () => {
    server = await Varnish.start({ naming, config });
    const { host, port, secret_file: secretFile } = server.config;
    cli = new VarnishCli({ host, port, secretFile, timeoutMs: PATIENCE_MS });
    endpoints.push(await Endpoint.start("A", "a1"), await Endpoint.start("A", "a2"), await Endpoint.start("B", "b1"));
  });
  beforeEach(() => {
    proxy = createVarnish("web", server.config, naming, log);
  });
  afterEach(() => proxy.close());
  after(async () => {
    cli.close();
    await server.stop();
    await Promise.all(endpoints.map((endpoint) => endpoint.stop()));
  });

  const vcls = async () => {
    const [list] = await cli.runAll([["vcl.list", "-j"]], signal);
    const entries = (JSON.parse(list?.text ?? "") as unknown[]).slice(3).flat() as { name: string; status: string }[];
    const ours = entries.filter(({ name, status }) => name.startsWith("slotd_") && status !== "discarded");
    return { ours: ours.map(({ name }) => name), active: entries.find(({ status }) => status === "active")?.name };
  };
  const child = async () => {
    const [pid] = await cli.runAll([["pid", "-j"]], signal);
    return ((JSON.parse(pid?.text ?? "") as unknown[])[3] as { worker: number }).worker;
  };
  const all = (byDefault: string) => tableOf({ A: [a1(), a2()], B: [b1()] }, byDefault);

  it("the default is switched, and endpoints leave and come back, without a load", async () => {
    await proxy.apply(all("A"), signal);
    const { active } = await vcls();
    for (const [versions, byDefault] of [
      [{ A: [a1()], B: [b1()] }, "A"],
      [{ A: [a1()], B: [b1()] }, "B"],
      [{ B: [b1()] }, "B"],
      [{ A: [a2()], B: [b1()] }, "A"],
      [{ A: [a1(), a2()], B: [] }, "A"],
      [{ A: [a1(), a2()], B: [b1()] }, "B"],
    ] as [Record<string, Endpoint[]>, string][]) {
      await proxy.apply(tableOf(versions, byDefault), signal);
      assert.equal(await proxy.isCurrent(signal), true);
      for (const name of ["A", "B", "none"]) {
        const answer = await ask(server.url, { headers: { "X-App-Version": name } });
        assert.equal(answer.named, versions[name]?.length ? name : byDefault);
        assert.ok(versions[answer.named ?? ""]?.some(({ id }) => id === said(answer).id));
      }
    }
    assert.equal((await vcls()).active, active);
  });

  it("after a time without changes, a VCL with the whole table is loaded, and is the only one", async () => {
    await proxy.close();
    proxy = createVarnish("web", { ...server.config, settle_ms: 50 }, naming, log);
    await proxy.apply(all("A"), signal);
    const { active } = await vcls();
    await proxy.apply(tableOf({ A: [a1()], B: [b1()] }, "B"), signal);
    const users = new Users(server.url, [null, "A", "B"], () => true, 4);
    await until("another VCL is active", async () => (await vcls()).active !== active);
    await until("it is the only one", async () => (await vcls()).ours.length === 1);
    assert.equal(await proxy.isCurrent(signal), true);
    const seen = users.requests;
    await until("users asked on", () => users.requests > seen + 50);
    await users.end();
    assert.deepEqual(users.failures, []);
    assert.equal((await ask(server.url)).named, "B");
  });

  it("a restarted child has forgotten the health that was set: this is noticed, and it is set again", async () => {
    await proxy.apply(all("A"), signal);
    await proxy.apply(tableOf({ A: [a2()], B: [b1()] }, "B"), signal);
    const before = await child();
    process.kill(before, "SIGKILL");
    await until("another child serves", async () => {
      const now = await child().catch(() => undefined);
      return now !== undefined && now !== before && (await ask(server.url)).status === 200;
    });
    assert.equal(await proxy.isCurrent(signal), false);
    await proxy.apply(tableOf({ A: [a2()], B: [b1()] }, "B"), signal);
    assert.equal(await proxy.isCurrent(signal), true);
    assert.equal((await ask(server.url)).named, "B");
  });

  it("only responses that allow it are cached, separately for each version", async () => {
    await proxy.apply(all("A"), signal);
    const asked = (path: string, version: string) => ask(server.url, { path, headers: { "X-App-Version": version } });
    const first = said(await asked("/cached", "A"));
    for (let i = 0; i < 8; i++) assert.equal(said(await asked("/cached", "A")).id, first.id, "from the cache");
    const other = await asked("/cached", "B");
    assert.equal(said(other).version, "B");
    assert.equal(other.named, "B");
    const before = a1().requests + a2().requests;
    for (let i = 0; i < 8; i++) await asked("/plain", "A");
    assert.equal(a1().requests + a2().requests, before + 8);
  });
});

describe("Varnish that refuses a command", () => {
  it("a VCL that does not compile is refused, the old one stays, and what was withdrawn on the way serves again", async () => {
    const directory = mkdtempSync(join(tmpdir(), "slotd-vcl-"));
    chmodSync(directory, 0o755);
    const include = join(directory, "own.vcl");
    writeFileSync(include, 'sub vcl_deliver { set resp.http.X-Own = "yes"; }\n');
    const server = await Varnish.start({ naming, config: { ...config, include } });
    const proxy = createVarnish("web", server.config, naming, log);
    const endpoints = [
      await Endpoint.start("A", "a1"),
      await Endpoint.start("A", "a2"),
      await Endpoint.start("B", "b"),
    ];
    const [a1, a2, b] = endpoints as [Endpoint, Endpoint, Endpoint];
    try {
      await proxy.apply(tableOf({ A: [a1, a2] }, "A"), signal);
      assert.equal((await ask(server.url)).headers["x-own"], "yes");
      writeFileSync(include, "sub vcl_deliver { this is not VCL }\n");
      const users = new Users(server.url, [null, "A"], () => true, 4);
      await assert.rejects(
        proxy.apply(tableOf({ A: [a1], B: [b] }, "B"), signal),
        (error) => error instanceof ProxyRejectedError && /vcl\.load/.test(error.message),
      );
      assert.equal(await proxy.isCurrent(signal), true, "the applied table stays");
      await until("users asked", () => users.requests > 100);
      await users.end();
      assert.deepEqual(users.failures, []);
      assert.deepEqual([...users.versions.keys()], ["A"]);
      writeFileSync(include, "");
      await proxy.apply(tableOf({ A: [a1], B: [b] }, "B"), signal);
      assert.equal((await ask(server.url)).named, "B");
    } finally {
      await proxy.close();
      await server.stop();
      await Promise.all(endpoints.map((endpoint) => endpoint.stop()));
      rmSync(directory, { recursive: true });
    }
  });

  it("with a wrong secret, the proxy is reported as down, and the message names the key", async () => {
    const server = await Varnish.start({ naming });
    const wrong = `${server.config.secret_file}-wrong`;
    writeFileSync(wrong, "wrong");
    const proxy = createVarnish("web", { ...server.config, secret_file: wrong }, naming, log);
    try {
      await assert.rejects(
        proxy.isCurrent(signal),
        (error) => error instanceof ProxyDownError && /secret_file/.test(error.message),
      );
    } finally {
      await proxy.close();
      await server.stop();
    }
  });
});
