import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type Host, leftProcesses } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";
import type { Ended } from "../support/slotd.ts";
import { PATIENCE_MS } from "../support/until.ts";

const AGENT = fileURLToPath(new URL("../../agent/main.js", import.meta.url));
/** Nobody in particular: owns nothing, and is in no group. */
const UNPRIVILEGED = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/** Starts an agent that is expected to end by itself. One that does not is killed, and has the code -1. */
function start(host: Host, as: string[] = []): Promise<Ended> {
  const [command = "", ...rest] = [...as, process.execPath, AGENT, "--config", host.configFile];
  return new Promise((resolve) => {
    execFile(command, rest, { timeout: PATIENCE_MS, killSignal: "SIGKILL" }, (error, stdout, stderr) =>
      resolve({ code: error ? (typeof error.code === "number" ? error.code : -1) : 0, stdout, stderr }),
    );
  });
}

describe("an agent that can't use its state directory", () => {
  const hosts = useHosts();

  interface Left {
    host: Host;
    pids: number[];
    journal: string;
    /** The workers are those of before, and answer. */
    untouched(): Promise<void>;
    /** The next agent that may start finds all as it was. */
    takenOver(): Promise<void>;
  }

  /** Two versions that serve, and no agent any more. */
  async function left(): Promise<Left> {
    const host = await hosts.start();
    const [one, two] = await appReleases(host, "1", "2");
    assert(one && two);
    await host.installed("a", one);
    await host.installed("b", two);
    const bySlot = { a: await host.pids("a"), b: await host.pids("b") };
    const pids = [...bySlot.a, ...bySlot.b].sort((x, y) => x - y);
    await host.killAgent();
    return {
      host,
      pids,
      journal: join(host.state, "journal.json"),
      async untouched() {
        assert.deepEqual(
          leftProcesses(host.state).sort((x, y) => x - y),
          pids,
        );
        for (const slot of ["a", "b"] as const) {
          const { version, pid } = await host.get(slot);
          assert.equal(version, slot === "a" ? "1" : "2");
          assert(bySlot[slot].includes(pid));
        }
      },
      async takenOver() {
        await host.startAgent();
        for (const slot of ["a", "b"] as const) {
          const ready = ({ state, workers }: { state: string; workers: { ready: number } }) =>
            state === "serving" && workers.ready === 2;
          await host.untilSlot(slot, "serves", ready);
          await host.untilSlot(slot, "knows its order", ({ order }) => order?.outcome === "done");
          assert.deepEqual(await host.pids(slot), bySlot[slot]);
        }
        assert.equal((await host.status()).lastError, null);
      },
    };
  }

  it("refuses one that its user may not enter, and leaves the workers of before alone", async () => {
    const { host, untouched, takenOver } = await left();
    chmodSync(host.directory, 0o755);
    const { code, stderr, stdout } = await start(host, UNPRIVILEGED);
    assert.match(stderr, /^error CONFIG_INVALID: configuration: state_directory can't be used \(EACCES.*\n$/);
    assert(stderr.includes(host.state), "it says which directory");
    assert.deepEqual([code, stdout], [2, ""]);
    await untouched();
    await takenOver();
  });

  for (const [what, path] of Object.entries({ "a file": "notes", "below a file": "notes/state" })) {
    it(`refuses one that is ${what}, which stays, and leaves the workers of before alone`, async () => {
      const { host, untouched, takenOver } = await left();
      writeFileSync(join(host.directory, "notes"), "somebody's");
      host.configure({ state_directory: join(host.directory, path) });
      const { code, stderr, stdout } = await start(host);
      assert.match(
        stderr,
        /^error CONFIG_INVALID: configuration: state_directory can't be used \((EEXIST|ENOTDIR).*\n$/,
      );
      assert(stderr.includes(join(host.directory, path)), "it says which path");
      assert.deepEqual([code, stdout], [2, ""]);
      assert.equal(readFileSync(join(host.directory, "notes"), "utf8"), "somebody's");
      await untouched();
      host.configure({});
      await takenOver();
    });
  }

  it("refuses a journal that its user may not read, names it, and touches neither it nor the workers", async () => {
    const { host, journal, untouched, takenOver } = await left();
    chmodSync(host.directory, 0o755);
    // All but the journal is its group's, too.
    const shared = [host.state, join(host.state, "logs"), join(host.state, "lock")];
    const share = (gid: number, mode: number) => {
      for (const path of shared) {
        chownSync(path, 0, gid);
        chmodSync(path, mode);
      }
    };
    share(65534, 0o775);
    const before = readFileSync(journal);
    const { code, stderr, stdout } = await start(host, UNPRIVILEGED);
    assert.match(stderr, /^error CONFIG_INVALID: configuration: state_directory holds .*\(EACCES.*move it away/);
    assert(stderr.includes(journal));
    assert.deepEqual([code, stdout], [2, ""]);
    assert.deepEqual(readFileSync(journal), before);
    await untouched();
    share(0, 0o755);
    await takenOver();
  });

  for (const [name, next] of Object.entries({
    "journal.json": "let the agent's user read it, or move it away, and the orders are read from the bus",
    token: "let the agent's user read it: the workers that run are known by it",
  })) {
    it(`refuses a directory in the place of ${name}, names it, and leaves the workers of before alone`, async () => {
      const { host, untouched, takenOver } = await left();
      const path = join(host.state, name);
      const putBack = () => {
        rmdirSync(path);
        renameSync(`${path}.kept`, path);
      };
      renameSync(path, `${path}.kept`);
      mkdirSync(path);
      let ended: Ended;
      try {
        ended = await start(host);
      } finally {
        putBack();
      }
      assert.match(ended.stderr, /^error CONFIG_INVALID: configuration: state_directory holds .*\(EISDIR/);
      assert(ended.stderr.includes(path));
      assert(ended.stderr.endsWith(`; ${next}\n`), ended.stderr);
      assert.deepEqual([ended.code, ended.stdout], [2, ""]);
      await untouched();
      await takenOver();
    });
  }

  it("refuses a newer agent's journal and leaves it byte for byte; the newer agent goes on from it", async () => {
    const { host, journal, untouched, takenOver } = await left();
    const good = readFileSync(journal, "utf8");
    const newer = JSON.stringify({ ...JSON.parse(good), format: 7, since: "later", slots: ["another shape"] }, null, 2);
    writeFileSync(journal, newer);
    const files = readdirSync(host.state).sort();

    const { code, stderr, stdout } = await start(host);

    assert.match(stderr, /^error JOURNAL_NEWER: the journal .* has format 7, but this slotd knows 1: /);
    assert.match(stderr, /Install that version again, or move the file away to start without its contents/);
    assert(stderr.includes(journal));
    // Not 2: under systemd it is tried again, until one of the two was done.
    assert.deepEqual([code, stdout], [1, ""]);
    assert.equal(readFileSync(journal, "utf8"), newer);
    assert.deepEqual(readdirSync(host.state).sort(), files, "nothing was set aside");
    await untouched();
    writeFileSync(journal, good);
    await takenOver();
  });

  it("takes the workers over, and its orders from the bus, once a newer agent's journal was moved away", async () => {
    const { host, journal, untouched, takenOver } = await left();
    writeFileSync(journal, '{"format":2,"slots":[]}');
    assert.equal((await start(host)).code, 1);
    await untouched();
    renameSync(journal, `${journal}.newer`);
    await takenOver();
    assert.equal(readFileSync(`${journal}.newer`, "utf8"), '{"format":2,"slots":[]}');
  });
});
