import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseConfig } from "../../../agent/config/load.ts";
import { withReleaseConfig } from "../../../agent/config/release-config.ts";
import type { Config } from "../../../agent/config/schema.ts";
import { workerEnvironment } from "../../../agent/workers/process/spec.ts";
import { backoffMs } from "../../../daemon/backoff.ts";

const withoutRelease = (config: Config) => withReleaseConfig(config, "7", { app: {}, health: {}, readiness: {} });

describe("what a worker is started with", () => {
  const config = withoutRelease(
    parseConfig('service = "web"\n[app]\ncommand = ["x"]\nenvironment = { COLOUR = "blue", PATH = "/app" }'),
  );
  const spec = {
    slot: "b",
    version: "7",
    tree: "/releases/7",
    port: 8001,
    token: "word.b",
    config,
  };
  const own = {
    account: null,
    secrets: {},
    listening: { LISTEN_FDS: "1", LISTEN_FDNAMES: "http" },
    variables: { PORT: "8001" },
  };

  it("is the agent's environment, then the configured one, then what slotd promises", () => {
    const env = workerEnvironment(
      spec,
      3,
      { HOME: "/root", PATH: "/bin", PORT: "1", SLOTD_SLOT: "z", COLOUR: "red" },
      own,
    );
    assert.deepEqual(env, {
      HOME: "/root",
      PATH: "/app",
      COLOUR: "blue",
      PORT: "8001",
      SLOTD_SERVICE: "web",
      SLOTD_SLOT: "b",
      SLOTD_VERSION: "7",
      SLOTD_WORKER: "3",
      SLOTD_TOKEN: "word.b",
      LISTEN_FDS: "1",
      LISTEN_FDNAMES: "http",
    });
  });

  it("names no descriptors where the worker inherits none, whatever the agent inherited", () => {
    const env = workerEnvironment(spec, 0, { LISTEN_FDS: "3", LISTEN_FDNAMES: "slot-a" }, { ...own, listening: {} });
    assert.deepEqual([env.LISTEN_FDS, env.LISTEN_FDNAMES], [undefined, undefined]);
  });

  it("has nothing that a service manager told the agent alone", () => {
    const told = {
      NOTIFY_SOCKET: "/run/n",
      WATCHDOG_USEC: "1",
      WATCHDOG_PID: "2",
      LISTEN_PID: "3",
      INVOCATION_ID: "x",
    };
    const env = workerEnvironment(spec, 0, told, own);
    for (const name of Object.keys(told)) assert.equal(env[name], undefined);
  });
});

describe("the wait before a worker is started again", () => {
  const bounds = fc
    .tuple(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 1, max: 3_600_000 }))
    .map(([min, more]) => ({ min, max: min + more }));
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it("is between half and all of a time that doubles up to its bound", () => {
    fc.assert(
      fc.property(fc.nat(1_000), bounds, chance, (attempt, { min, max }, random) => {
        const wait = backoffMs(attempt, min, max, () => random);
        const full = Math.min(max, min * 2 ** Math.min(attempt, 30));
        assert(wait >= Math.floor(full / 2) && wait <= full, `${wait} of ${full}`);
      }),
    );
  });

  it("is never shorter after more tries, with the same luck", () => {
    fc.assert(
      fc.property(fc.nat(100), bounds, chance, (attempt, { min, max }, random) => {
        const [first, next] = [attempt, attempt + 1].map((n) => backoffMs(n, min, max, () => random));
        assert((next as number) >= (first as number));
      }),
    );
  });
});
