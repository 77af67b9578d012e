import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isSettled, nearestTable, planHealth } from "../../../../edge/proxies/varnish/plan.ts";
import {
  backendName,
  compiledFlag,
  defaultFlag,
  fallbackFlag,
  offeredFlag,
  servedVersions,
} from "../../../../edge/proxies/varnish/vcl.ts";
import type { Table } from "../../../../edge/table/table.ts";
import { soleVersion } from "../../../../edge/table/unnamed.ts";
import { addressesOf, answerOf, at, everyName, randomTable } from "../../real-proxy/random-table.ts";

/**
 * What the VCL of a table answers, with some of its backends sick: the version, and the endpoints that may be asked.
 */
function vclAnswers(compiled: Table, sick: ReadonlySet<string>, named: string | null) {
  const versions = servedVersions(compiled).map(({ version, endpoints }, v) => ({
    version,
    addresses: endpoints.filter((_, e) => !sick.has(backendName(v, e))).map(at),
    byDefault: sick.has(compiledFlag) ? !sick.has(defaultFlag(v)) : version === soleVersion(compiled),
    fallback: sick.has(compiledFlag) ? !sick.has(fallbackFlag(v)) : version === compiled.fallback,
  }));
  const alive = versions.filter(({ addresses }, v) => addresses.length > 0 && !sick.has(offeredFlag(v)));
  const found =
    alive.find(({ version }) => version === named) ??
    alive.find(({ byDefault }) => byDefault) ??
    alive.find(({ fallback }) => fallback);
  return found ? { version: found.version, addresses: found.addresses.sort() } : null;
}

function settle(sick: Set<string>, changes: ReturnType<typeof planHealth>, look: (sick: Set<string>) => void) {
  for (const { backend, healthy } of changes) {
    if (healthy) sick.delete(backend);
    else sick.add(backend);
    look(sick);
  }
}

describe("a change by health alone", () => {
  it("makes the VCL answer by the table if it is exact, through any number of tables", () => {
    fc.assert(
      fc.property(fc.array(randomTable, { minLength: 2, maxLength: 6 }), ([compiled, ...tables]) => {
        if (!compiled) return;
        const sick = new Set<string>();
        let before = compiled;
        for (const table of tables) {
          const target = nearestTable(compiled, before, table);
          settle(sick, planHealth(compiled, sick, target.table), () => {});
          assert.deepEqual(planHealth(compiled, sick, target.table), [], "nothing is left to do");
          before = target.table;
          if (!target.exact) continue;
          for (const name of everyName) {
            const version = answerOf(table, name);
            assert.equal(vclAnswers(compiled, sick, name)?.version ?? null, version);
            if (version) assert.deepEqual(vclAnswers(compiled, sick, name)?.addresses, addressesOf(table, version));
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("answers every request by the old or the new table on the way, and keeps what both tables have", () => {
    fc.assert(
      fc.property(randomTable, randomTable, randomTable, (compiled, first, wanted) => {
        const sick = new Set<string>();
        if (!nearestTable(compiled, compiled, first).exact) return;
        settle(sick, planHealth(compiled, sick, first), () => {});
        const target = nearestTable(compiled, first, wanted);
        settle(sick, planHealth(compiled, sick, target.table), () => {
          for (const name of everyName) {
            const answer = vclAnswers(compiled, sick, name)?.version ?? null;
            const [before, after] = [answerOf(first, name), answerOf(wanted, name)];
            // While the default moves and its old version is withdrawn, the fallback of either table may answer.
            const may = [before, after, soleVersion(first), soleVersion(wanted), first.fallback, wanted.fallback];
            assert.ok(may.includes(answer), `${name}: ${answer} is neither ${before} nor ${after}`);
            if (before !== null && after !== null) assert.notEqual(answer, null, `${name} was answered, and will be`);
            if (before === name && after === name && name !== null) assert.equal(answer, name);
          }
        });
      }),
      { numRuns: 4_000 },
    );
  });

  it("keeps the endpoints of a withdrawn version healthy, for requests that were routed to it just before", () => {
    fc.assert(
      fc.property(randomTable, randomTable, (compiled, wanted) => {
        const stays = new Set(servedVersions(wanted).map(({ version }) => version));
        const changed = planHealth(compiled, new Set(), nearestTable(compiled, compiled, wanted).table).map(
          (to) => to.backend,
        );
        for (const [v, { version, endpoints }] of servedVersions(compiled).entries()) {
          if (stays.has(version)) continue;
          for (const e of endpoints.keys()) assert.ok(!changed.includes(backendName(v, e)), backendName(v, e));
        }
      }),
    );
  });

  it("is settled for the VCL's own table; with another weight it is exact but not settled", () => {
    fc.assert(
      fc.property(randomTable, (table) => {
        assert.ok(isSettled(table, table));
        const heavier = {
          ...table,
          versions: table.versions.map((v) => ({
            ...v,
            endpoints: v.endpoints.map((e) => ({ ...e, weight: e.weight + 1 })),
          })),
        };
        assert.ok(nearestTable(table, table, heavier).exact);
        assert.equal(isSettled(table, heavier), servedVersions(table).length === 0);
      }),
    );
  });
});
