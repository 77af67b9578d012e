import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { pino } from "pino";
import { ProxyRejectedError } from "../../../../edge/proxies/contract.ts";
import { createHaproxy } from "../../../../edge/proxies/haproxy/index.ts";
import { runCommands } from "../../../../edge/proxies/haproxy/runtime.ts";
import type { Table } from "../../../../edge/table/table.ts";
import { Haproxy, rewriteBase } from "../../../support/proxies/haproxy.ts";
import { repository } from "../../../support/release.ts";
import { ask, said } from "../../real-proxy/ask.ts";
import { Endpoint } from "../../real-proxy/endpoint.ts";
import { naming, proxyRules, signal, tableOf } from "../../real-proxy/rules.ts";

const log = pino({ level: "silent" });

proxyRules(
  "HAProxy",
  () => Haproxy.start({ naming }),
  (server) => createHaproxy("web", server.config, naming, log),
);

describe("HAProxy with few places", () => {
  let server: Haproxy;
  let b: Endpoint;
  before(async () => {
    server = await Haproxy.start({ naming, config: { places: 3, servers_per_place: 2 } });
    b = await Endpoint.start("B", "b");
  });
  after(async () => {
    await server.stop();
    await b.stop();
  });

  /** The first is b; nothing listens at the others. */
  const many = (count: number): Table["versions"][number]["endpoints"] =>
    Array.from({ length: count }, (_, i) => ({
      ...b.inTable(),
      id: `prod.b${i}.a`,
      address: i === 0 ? b.address : `127.0.3.${i}`,
    }));

  it("endpoints or versions that do not fit are refused, and the message names the key to raise", async () => {
    const proxy = createHaproxy("web", server.config, naming, log);
    const table = tableOf({ B: [b] }, "B");
    await proxy.apply(table, signal);
    const refused = (rest: Table["versions"], what: RegExp) =>
      assert.rejects(
        proxy.apply({ ...table, versions: [...table.versions, ...rest] }, signal),
        (error) => error instanceof ProxyRejectedError && what.test(error.message),
      );
    await refused([{ version: "C", endpoints: many(3) }], /raise proxy\.servers_per_place/);
    await refused(
      ["C", "D", "E"].map((version) => ({ version, endpoints: many(1) })),
      /raise proxy\.places to at least 4/,
    );
    assert.equal((await ask(server.url)).named, "B");
    assert.equal(await proxy.isCurrent(signal), true, "the applied table stays");
  });

  it("a full place changes its endpoints without a moment without a server", async () => {
    const proxy = createHaproxy("web", server.config, naming, log);
    const of = (endpoints: Table["versions"][number]["endpoints"]): Table => ({
      ...tableOf({}, "B"),
      versions: [{ version: "B", endpoints }],
    });
    const all = many(6);
    let asked = 0;
    let ending = false;
    const statuses = new Set<number>();
    const user = (async () => {
      for (; !ending; asked++) statuses.add((await ask(server.url)).status);
    })();
    // The one that listens is in every table.
    const here = all[0] as (typeof all)[number];
    await proxy.apply(of([here]), signal);
    statuses.clear();
    for (let i = 1; i < 6; i++) {
      await proxy.apply(of([here, all[i] as (typeof all)[number]]), signal);
      await proxy.apply(of([here]), signal);
    }
    ending = true;
    await user;
    assert.deepEqual([...statuses], [200]);
    assert.ok(asked > 0);
  });

  it("a change by somebody else is noticed, and repaired when the table is applied again", async () => {
    const proxy = createHaproxy("web", server.config, naming, log);
    const table = tableOf({ B: [b] }, "B");
    await proxy.apply(table, signal);
    const [state = ""] = await runCommands(server.config.socket, ["show servers state"], 2_000, signal);
    const [, place, name] =
      new RegExp(` (slotd\\.web\\.v\\d) \\d+ (s\\d) ${b.address} 2 .* ${b.port} `).exec(state) ?? [];
    await runCommands(server.config.socket, [`set server ${place}/${name} state maint`], 2_000, signal);
    assert.equal(await proxy.isCurrent(signal), false);
    await proxy.apply(table, signal);
    assert.equal(await proxy.isCurrent(signal), true);
    assert.equal((await ask(server.url)).status, 200);
  });

  it("every table is refused if HAProxy does not run with the base configuration", async () => {
    const elsewhere = { ...server.config, directory: `${server.config.directory}-other` };
    await assert.rejects(
      createHaproxy("web", elsewhere, naming, log).apply(tableOf({ B: [b] }, "B"), signal),
      (error) => error instanceof ProxyRejectedError && /base configuration/.test(error.message),
    );
  });
});

describe("HAProxy with an older base configuration", () => {
  /** Of an HAProxy that had one service: its sections had no service in their names. */
  const older = (base: string) => {
    const { socket, directory } = server.config;
    const places: Record<string, string> = { SOCKET: socket, DIRECTORY: directory, BIND: new URL(server.url).host };
    newest = base;
    return readFileSync(join(repository, "test/fixtures/0.1.0/proxies/haproxy/base.cfg"), "utf8").replace(
      /\b(SOCKET|DIRECTORY|BIND)\b/g,
      (name) => places[name] as string,
    );
  };
  /** Still older bases gave servers without an endpoint a literal address. */
  const oldest = (base: string) => older(base).replaceAll("slotd.invalid:1 init-addr last,0.0.0.1", "127.0.0.1:1");
  let newest = "";
  const newer = () => newest;
  let server: Haproxy;
  let a: Endpoint;
  let b: Endpoint;
  beforeEach(async () => {
    server = await Haproxy.start({ naming, config: { places: 4, servers_per_place: 4 } });
    [a, b] = [await Endpoint.start("A", "a"), await Endpoint.start("B", "b")];
  });
  afterEach(async () => {
    await server.stop();
    await Promise.all([a.stop(), b.stop()]);
  });

  const startWith = async (base: (now: string) => string) => {
    await server.kill();
    rewriteBase(server, base);
    await server.restart();
  };
  const answers = async () => {
    const named = await ask(server.url, { headers: { "X-App-Version": "A" } });
    const byDefault = await ask(server.url);
    return [named, byDefault].map((answer) => said(answer).id);
  };

  for (const [name, base, warning] of [
    ["older", older, /its names leave no room for a second service\. Render the base configuration again and reload/],
    ["oldest", oldest, /it sends requests to 127\.0\.0\.1\. Render the base configuration again and reload/],
  ] as const)
    it(`the ${name} still routes by tables and says what to do, and the newest starts from its state file`, async () => {
      await startWith(base);
      const lines: string[] = [];
      const warnings = pino({ level: "warn" }, { write: (line) => lines.push(line) });
      const proxy = createHaproxy("web", server.config, naming, warnings);
      const table = tableOf({ A: [a], B: [b] }, "B");
      await proxy.apply(table, signal);
      await proxy.persist?.();
      assert.deepEqual(await answers(), ["a", "b"]);
      await proxy.apply(tableOf({ A: [a] }, "A"), signal);
      await proxy.apply(table, signal);
      assert.equal(await proxy.isCurrent(signal), true);
      assert.equal(lines.length, 1, "one warning");
      assert.match(lines[0] as string, warning);

      await startWith(newer);
      assert.deepEqual(await answers(), ["a", "b"], "without an edge");
      await proxy.apply(table, signal);
      assert.deepEqual([await answers(), lines.length], [["a", "b"], 1]);
      await proxy.persist?.();
      const state = readFileSync(join(server.config.directory, "current/servers.state"), "utf8");
      assert.doesNotMatch(state, / v\d /, "the older names are gone");
    });

  it("an older base has no endpoints from the state file of the newest, until a table is applied", async () => {
    const proxy = createHaproxy("web", server.config, naming, log);
    const table = tableOf({ A: [a], B: [b] }, "B");
    await proxy.apply(table, signal);
    await proxy.persist?.();
    assert.deepEqual(await answers(), ["a", "b"]);
    await startWith(older);
    assert.equal((await ask(server.url)).status, 503);
    assert.equal(await proxy.isCurrent(signal), false);
    await proxy.apply(table, signal);
    assert.deepEqual(await answers(), ["a", "b"]);
  });

  it("another service's base is refused, and the message says what to do", async () => {
    const proxy = createHaproxy("shop", server.config, naming, log);
    await assert.rejects(proxy.apply(tableOf({ B: [b] }, "B"), signal), {
      name: "ProxyRejectedError",
      message: /it has no backend slotd\.shop\.v0\): render it again and reload HAProxy/,
    });
  });
});
