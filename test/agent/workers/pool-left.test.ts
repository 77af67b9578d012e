import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { pino } from "pino";
import { parseConfig } from "../../../agent/config/load.ts";
import { withReleaseConfig } from "../../../agent/config/release-config.ts";
import { AccountLookup } from "../../../agent/os/account.ts";
import { findByToken } from "../../../agent/os/process.ts";
import { openOutput } from "../../../agent/output/open-output.ts";
import type { Front } from "../../../agent/workers/front.ts";
import { Pool } from "../../../agent/workers/pool.ts";
import { Secrets } from "../../../agent/workers/process/secrets.ts";
import { TOKEN_VARIABLE } from "../../../agent/workers/process/token.ts";
import { until } from "../../support/until.ts";

const log = pino({ enabled: false });
let tokens = 0;

describe("a worker that is being started when its pool ends", () => {
  const undoing: (() => void)[] = [];
  afterEach(() => {
    for (const undo of undoing.splice(0).reverse()) undo();
  });

  /** A pool whose workers sleep, on a descriptor that is closed when the pool lets go of it. */
  const prepare = () => {
    const directory = mkdtempSync(join(tmpdir(), "slotd-pool-"));
    undoing.push(() => rmSync(directory, { recursive: true }));
    const text = 'service = "web"\n[app]\ncommand = ["sleep", "1000"]\nstop_grace_ms = 500';
    const config = withReleaseConfig(parseConfig(text), "1", { app: {}, health: {}, readiness: {} });
    const token = `test-${process.pid}-${++tokens}.a`;
    const account = new AccountLookup(null);
    const output = openOutput("web", directory, { output: "files", max_worker_bytes: 2 ** 20 }, {}, log);
    const secrets = new Secrets({}, undefined);
    const spec = { slot: "a", version: "1", tree: directory, port: 1, token, config, secrets, account, output };
    const fd = openSync("/dev/null", "r");
    let open = true;
    const close = () => {
      if (open) closeSync(fd);
      open = false;
    };
    undoing.push(close);
    const front: Front = {
      descriptors: [{ name: "http", fd }],
      variables: () => ({}),
      accepting: () => new Set(),
      openScan: () => ({ read: () => true }),
      free: close,
      isFree: true,
      untilFree: async () => {},
      abandon: close,
    };
    const pool = new Pool({ ...spec, cgroup: null, socketDirectory: directory }, front, 1, log);
    const processes = () => findByToken(TOKEN_VARIABLE, token).map(({ identity }) => identity.pid);
    undoing.push(() => {
      for (const pid of processes()) process.kill(pid, "SIGKILL");
    });
    return { pool, account, output, processes };
  };

  for (const end of ["abandon", "stop"] as const) {
    it(`is not started where that comes before its process: ${end}`, async () => {
      const { pool, account, processes } = prepare();
      let found = (_: null) => {};
      account.get = () =>
        new Promise((resolve) => {
          found = resolve;
        });
      const started = pool.start();
      const ended = pool[end]();
      found(null);
      await started;
      await ended;
      assert.deepEqual(processes(), []);
      assert.deepEqual([pool.alive, pool.ends], [0, []]);
    });

    it(`is ended where its process has begun: ${end}`, async () => {
      const { pool, output, processes } = prepare();
      const open = output.open.bind(output);
      let ended: unknown;
      output.open = (writer) => {
        // Node reports a new process in the next tick, after this one.
        process.nextTick(() => {
          ended = pool[end]();
        });
        return open(writer);
      };
      const started: number[] = [];
      pool.on("started", ({ pid }) => started.push(pid));
      await pool.start();
      await ended;
      await until("it has ended", () => processes().length === 0);
      if (end === "abandon") assert.deepEqual(started, [], "nobody journals it");
    });
  }
});
