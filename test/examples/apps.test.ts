import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { Load } from "../support/load/load.ts";
import { makeRelease, repository } from "../support/release.ts";
import { PATIENCE_MS, until } from "../support/until.ts";

/** Next.js takes a minute of CPU time to build. */
const timeout = 20 * PATIENCE_MS;
const APPS = join(repository, "examples/apps");
/**
 * These close idle connections at the stop signal, also one on which a request is on its way. Their restart fails
 * requests on kept connections, as it does without slotd; a drain does not, because clients leave first.
 */
const CLOSES_IDLE = ["asgi", "flask", "next", "puma"];

/** It also closes a connection that it has accepted, and on which it has not read a request yet. */
const RESETS_UNREAD = ["asgi"];

describe("the recipes for apps", { timeout }, () => {
  const hosts = useHosts();
  const built: string[] = [];
  after(() => {
    for (const directory of built) rmSync(directory, { recursive: true, force: true });
  });

  /** A copy of a recipe's folder, built as its README says. */
  const build = (name: string): string => {
    const directory = mkdtempSync(join(tmpdir(), `slotd-app-${name}-`));
    built.push(directory);
    cpSync(join(APPS, name), directory, { recursive: true });
    const run = (...[command, ...words]: [string, ...string[]]) =>
      execFileSync(command, words, {
        cwd: directory,
        env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" },
        stdio: ["ignore", "ignore", "pipe"],
      });
    if (existsSync(join(directory, "package-lock.json"))) run("npm", "ci", "--no-audit", "--no-fund");
    if (!existsSync(join(directory, "next.config.mjs"))) return directory;
    run("npm", "run", "build");
    return join(directory, ".next/standalone");
  };
  const underLoad = async (host: Host, keepAlive: boolean, act: () => Promise<unknown>): Promise<string[]> => {
    const target = () => ({ host: host.address, port: host.ports.a as number });
    const loads = [
      new Load({ target, clients: 1 }),
      new Load({ target, clients: 1, method: "POST", path: "/count" }),
      new Load({ target, clients: 2, method: "POST", path: "/count", keepAlive }),
      new Load({ target, clients: 1, path: "/stream" }),
    ];
    const stop = () => Promise.all(loads.map((load) => load.stop()));
    hosts.onEnd(stop);
    await until("the load is on", () => loads.every(({ requests }) => requests > 2));
    await act();
    await stop();
    return loads.flatMap(({ failures }) => failures).slice(0, 20);
  };

  for (const name of readdirSync(APPS)) {
    it(`${name} serves from both slots with two workers each, and restarts without a failed request`, async () => {
      const host = await hosts.start({
        app: { command: undefined, workers: 4 },
        readiness: { timeout_ms: PATIENCE_MS },
      });
      const directory = build(name);
      for (const [slot, version] of [
        ["a", "1"],
        ["b", "2"],
      ] as const) {
        await host.installed(slot, await makeRelease(host.archives, version, { directory }));
        assert.equal((await host.slot(slot)).workers.ready, 2);
      }
      const before = await host.pids("a");
      const failures = await underLoad(host, !CLOSES_IDLE.includes(name), async () => {
        await host.do("restart", "a");
        await until("all were restarted", async () =>
          (await host.events()).some(({ message }) => message === "all workers were restarted"),
        );
      });
      if (RESETS_UNREAD.includes(name)) {
        assert(failures.length <= 5, failures.join("\n"));
        for (const failure of failures) assert.match(failure, /ECONNRESET/);
      } else assert.deepEqual(failures, []);
      const pids = await host.pids("a");
      assert(
        pids.every((pid) => !before.includes(pid)),
        "all workers are new",
      );
      // In the place of the version in slot a, while the one in slot b serves.
      await host.installed("a", await makeRelease(host.archives, "3", { directory }));
      assert.equal((await host.slot("a")).lastDrain?.cutRequests, 0);
      const answer = await fetch(host.url("b"), { headers: { connection: "close" } });
      assert.equal(answer.status, 200);
    });
  }
});
