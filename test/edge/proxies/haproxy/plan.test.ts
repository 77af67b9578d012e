import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ProxyRejectedError } from "../../../../edge/proxies/contract.ts";
import { type HaproxyPlan, planTable } from "../../../../edge/proxies/haproxy/plan.ts";
import { defaultKey } from "../../../../edge/proxies/haproxy/routes-map.ts";
import type { RunningHaproxy } from "../../../../edge/proxies/haproxy/running.ts";
import type { HaproxyServer } from "../../../../edge/proxies/haproxy/servers-state.ts";
import { allTo } from "../../../../edge/table/unnamed.ts";
import { addressesOf, answerOf, at, everyName, randomTable } from "../../real-proxy/random-table.ts";

function empty(places: number, servers: number): RunningHaproxy {
  const server = (i: number): HaproxyServer => ({
    name: `s${i + 1}`,
    address: "0.0.0.1",
    port: 1,
    weight: 1,
    ready: false,
    unchangedS: 9,
  });
  return {
    pid: 1,
    places: new Map(
      Array.from({ length: places }, (_, p) => [`v${p}`, Array.from({ length: servers }, (_, i) => server(i))]),
    ),
    routes: new Map(),
    state: "",
    prefix: "slotd.web.",
    outdated: null,
  };
}

/** Simulates HAProxy, one command at a time. */
function perform(running: RunningHaproxy, { fill, routes, withdraw, refill }: HaproxyPlan, look: () => void): void {
  const run = (command: string) => {
    const [, place = "", name, what, value = "", , port] =
      /^set server slotd\.web\.(v\d+)\/(s\d+) (\w+) (\S+)( port (\d+))?$/.exec(command) ?? [];
    const server = running.places.get(place)?.find((s) => s.name === name);
    assert.ok(server, command);
    if (what === "weight") server.weight = Number(value);
    else if (what === "state") server.ready = value === "ready";
    else {
      assert.equal(
        server.ready && running.routes.size > 0 && isUsed(running, place),
        false,
        "a server in use keeps its address",
      );
      server.address = value;
      server.port = Number(port);
    }
    look();
  };
  fill.forEach(run);
  if (routes) {
    running.routes = routes;
    look();
  }
  withdraw.forEach(run);
  refill.forEach(run);
}

const isUsed = (running: RunningHaproxy, place: string) =>
  [...running.routes.values()].some((route) => route.startsWith(`${place}/`));

function haproxyAnswers(running: RunningHaproxy, named: string | null) {
  const route = (named === null ? undefined : running.routes.get(named)) ?? running.routes.get(defaultKey);
  if (route === undefined) return null;
  const [place = "", version = ""] = route.split("/");
  return {
    version,
    addresses: (running.places.get(place) ?? [])
      .filter((s) => s.ready)
      .map(at)
      .sort(),
  };
}

describe("the plan of a table", () => {
  it("leads to an HAProxy that answers by the table, with nothing left to do", () => {
    fc.assert(
      fc.property(fc.array(randomTable, { minLength: 1, maxLength: 6 }), (tables) => {
        const running = empty(8, 5);
        for (const table of tables) {
          perform(running, planTable(running, table), () => {});
          const { fill, routes, withdraw, refill } = planTable(running, table);
          assert.deepEqual([fill, routes, withdraw, refill], [[], null, [], []]);
          for (const name of everyName) {
            const answer = haproxyAnswers(running, name);
            assert.equal(answer?.version ?? null, answerOf(table, name));
            if (answer) assert.deepEqual(answer.addresses, addressesOf(table, answer.version));
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("answers every request by the old or the new table after each command, from a place that has a server", () => {
    fc.assert(
      fc.property(randomTable, randomTable, fc.integer({ min: 4, max: 6 }), (first, wanted, servers) => {
        const running = empty(8, servers);
        perform(running, planTable(running, first), () => {});
        perform(running, planTable(running, wanted), () => {
          for (const name of everyName) {
            const answer = haproxyAnswers(running, name);
            const may = [answerOf(first, name), answerOf(wanted, name)];
            assert.ok(may.includes(answer?.version ?? null), `${name}: ${answer?.version} is none of ${may}`);
            if (!answer) continue;
            assert.ok(answer.addresses.length > 0, `${name} is sent to a place without a server`);
            const known = new Set([...addressesOf(first, answer.version), ...addressesOf(wanted, answer.version)]);
            assert.ok(
              answer.addresses.every((address) => known.has(address)),
              "no endpoint of another version",
            );
          }
        });
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives a version the place that has been unused for longest", () => {
    const running = empty(4, 1);
    for (const [p, age] of [3, 50, 7, 9].entries())
      for (const server of running.places.get(`v${p}`) ?? []) server.unchangedS = age;
    const endpoint = { id: "prod.h.a", stage: "prod", address: "10.0.0.1", port: 80, weight: 1 };
    const table = { ...tableOfNothing, unnamed: allTo("A"), versions: [{ version: "A", endpoints: [endpoint] }] };
    assert.equal(planTable(running, table).routes?.get("A"), "v1/A");
  });

  it("keeps proportions if a weight is above HAProxy's highest, and no weight becomes 0", () => {
    const endpoints = [512, 256, 1].map((weight, i) => ({
      id: `prod.h${i}.a`,
      stage: "prod",
      address: "10.0.0.1",
      port: 80 + i,
      weight,
    }));
    const { fill } = planTable(empty(2, 3), {
      ...tableOfNothing,
      unnamed: allTo("A"),
      versions: [{ version: "A", endpoints }],
    });
    assert.deepEqual(
      fill.filter((command) => command.includes("weight")).map((command) => Number(command.split(" ").at(-1))),
      [256, 128, 1],
    );
  });

  it("refuses a table if there are too few places, and names the number needed", () => {
    const running = empty(2, 1);
    const endpoints = [{ id: "prod.h.a", stage: "prod", address: "10.0.0.1", port: 80, weight: 1 }];
    const of = (...versions: string[]) => ({
      ...tableOfNothing,
      unnamed: allTo("A"),
      versions: versions.map((version) => ({ version, endpoints })),
    });
    perform(running, planTable(running, of("A", "B")), () => {});
    assert.throws(
      () => planTable(running, of("B", "C")),
      (error) => error instanceof ProxyRejectedError && /raise proxy\.places to at least 3/.test(error.message),
    );
  });
});

const tableOfNothing = {
  service: "web",
  epoch: 1,
  routesRevision: 1,
  serversetsRevision: 1,
  unnamed: [],
  fallback: null,
  versions: [],
};
