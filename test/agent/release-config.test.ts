import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { readReleaseConfig } from "../../agent/config/release-config.ts";
import { SlotdError } from "../../protocol/errors.ts";
import type { Release } from "../../protocol/release.ts";
import type { Host, Settings } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { logged, standing } from "../support/agent/orders.ts";
import { fixtureApps, makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

const app = readFileSync(join(fixtureApps, "app.mjs"), "utf8");
/** The app that answers nothing but what its health path is. */
const picky = app.replace(
  "else answer();",
  'else if (url.pathname === "/healthz") response.writeHead(500).end(); else answer();',
);

function release(host: Host, version: string, toml: string | null, program = app): Promise<Release> {
  return makeRelease(host.archives, version, {
    files: { "app.mjs": program, ...(toml !== null && { "slotd.toml": toml }) },
  });
}

async function refused(host: Host, release: Release, key: string): Promise<string> {
  const { order } = await host.untilOrder("a", await host.install("a", release));
  assert.equal(order?.error?.code, "RELEASE_CONFIG", JSON.stringify(order));
  assert.equal(order.error.field, key, order.error.message);
  return order.error.message;
}

describe("a release that says how it is run", () => {
  const hosts = useHosts();
  const node = JSON.stringify(process.execPath);
  /** A host that says nothing of what runs. */
  const bare: Settings = { app: { command: undefined, workers: 4 } };

  it("is run so: command, environment, health path, stop signal, readiness", async () => {
    const host = await hosts.start(bare);
    const toml = `
      [app]
      command = [${node}, "app.mjs", "own"]
      environment = { OWN = "release", SHARED = "release" }
      stop_signal = "SIGUSR2"
      [health]
      path = "/own"
      [readiness]
      hold_ms = 10
      timeout_ms = 9000
    `;
    const program = `${picky.replace('"SIGTERM"', '"SIGUSR2"')}\nprocess.on("SIGTERM", () => {});\n`;
    await host.installed("a", await release(host, "1", toml, program));
    const { env, pid } = await host.get("a");
    assert.equal(env.OWN, "release");
    assert.match(readFileSync(`/proc/${pid}/cmdline`, "utf8"), /app\.mjs\0own\0/);
    // Its own signal ends it at once; the other would have been waited for.
    const { lastEnd } = await host.untilOrder("a", await host.uninstall("a", "1"));
    assert.equal(lastEnd?.reason, "stopped");
  });

  it("has the host's environment over its own", async () => {
    const host = await hosts.start({ app: { workers: 4, environment: { SHARED: "host" } } });
    await host.installed("a", await release(host, "1", '[app]\nenvironment = { OWN = "release", SHARED = "release" }'));
    const { env } = await host.get("a");
    assert.deepEqual([env.OWN, env.SHARED], ["release", "host"]);
  });

  it("is refused by the key that breaks a rule or a bound, and what serves is as it was", async () => {
    const host = await hosts.start({
      app: { workers: 4, secrets: { TOKEN: { file: "/etc/hostname" } } },
      releases: { max_readiness_timeout_ms: 20_000 },
    });
    await host.installed("a", await release(host, "1", null));
    const before = await standing(host, "a");
    const environment = (name: string) => `[app]\nenvironment = { ${name} = "x" }`;
    const bad: Record<string, string> = {
      "slotd.toml": "[app",
      service: 'service = "web"',
      "app.workers": "[app]\nworkers = 8",
      "app.command": "[app]\ncommand = []",
      "app.stop_signal": '[app]\nstop_signal = "SIGKILL"',
      "health.path": '[health]\npath = "own"',
      "health.interval_ms": "[health]\ninterval_ms = 50",
      "readiness.by": '[readiness]\nby = "luck"',
      "readiness.timeout_ms": "[readiness]\ntimeout_ms = 20001",
      "app.environment": environment("PORT"),
      "app.environment.TOKEN": environment("TOKEN"),
      "app.environment.LD_PRELOAD": environment("LD_PRELOAD"),
      "app.environment.PATH": environment("PATH"),
      "app.environment.NODE_OPTIONS": environment("NODE_OPTIONS"),
      "app.environment.GCONV_PATH": environment("GCONV_PATH"),
      releases: "[releases]\nmay_set = []",
    };
    let version = 1;
    for (const [key, toml] of Object.entries(bad)) {
      await refused(host, await release(host, `bad-${version++}`, toml), key);
      assert.deepEqual(await standing(host, "a"), before, key);
    }
    await host.installed("a", await release(host, "2", environment("constructor")));
  });

  it("is refused without a command of anyone, and by a key that this host does not let it set", async () => {
    const host = await hosts.start({ ...bare, releases: { may_set: ["app.command"] } });
    assert.match(
      await refused(host, await release(host, "1", null), "app.command"),
      /neither by the release nor by the host/,
    );
    assert.match(await refused(host, await release(host, "2", '[health]\npath = "/x"'), "health.path"), /may_set/);
    await host.installed("a", await release(host, "3", `[app]\ncommand = [${node}, "app.mjs"]`));
  });

  it("keeps running, with the same workers, where a later agent allows less", async () => {
    const host = await hosts.start(bare);
    const own = await release(host, "1", `[app]\ncommand = [${node}, "app.mjs"]\nenvironment = { OWN = "release" }`);
    await host.installed("a", own);
    const pids = await host.pids("a");
    await host.killAgent();
    host.configure({ ...bare, releases: { may_set: ["app.command"] } });
    await host.startAgent();
    await host.untilSlot("a", "serves", ({ state, workers }) => state === "serving" && workers.ready === 2);
    assert.deepEqual(await host.pids("a"), pids);
    assert.equal((await host.get("a")).env.OWN, "release");
    const message = "release's own configuration can't be used; its workers keep running under the host's";
    assert.equal(logged(host, { msg: message }).length, 1);
    // One that ends can't be replaced; the other serves on, and so does the agent.
    process.kill(pids[0] as number, "SIGKILL");
    await until("the first is gone", async () => !(await host.pids("a")).includes(pids[0] as number));
    assert.equal((await host.get("a")).pid, pids[1]);
  });
});

describe("a release's slotd.toml", () => {
  let scratch = "";
  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), "slotd-release-config-"));
  });
  afterEach(() => rmSync(scratch, { recursive: true, force: true }));

  const read = () => readReleaseConfig("1", scratch);
  const path = () => join(scratch, "slotd.toml");
  async function fails(why: RegExp): Promise<void> {
    await assert.rejects(read(), (error) => {
      assert.ok(error instanceof SlotdError && error.code === "RELEASE_CONFIG" && error.field === "slotd.toml");
      assert.match(error.message, why);
      return true;
    });
  }

  it("may be missing, or empty", async () => {
    const nothing = { app: {}, health: {}, readiness: {} };
    assert.deepEqual(await read(), nothing);
    writeFileSync(path(), "");
    assert.deepEqual(await read(), nothing);
    assert.deepEqual(await readReleaseConfig("1", "/nonexistent"), nothing);
  });

  it("may be a link to a file of the release", async () => {
    writeFileSync(join(scratch, "other"), '[health]\npath = "/x"');
    symlinkSync("other", path());
    assert.equal((await read()).health.path, "/x");
  });

  it("is not read where it is a directory, a FIFO, a link that leads nowhere or to itself, or huge", async () => {
    const kinds: [RegExp, () => void][] = [
      [/is not a file/, () => mkdirSync(path())],
      [/is not a file/, () => execFileSync("mkfifo", [path()])],
      [/can't be read.*ENOENT/, () => symlinkSync("nowhere", path())],
      [/can't be read.*ELOOP/, () => symlinkSync("slotd.toml", path())],
      [
        /over 65536 bytes/,
        () => {
          writeFileSync(path(), "");
          truncateSync(path(), 2 ** 40);
        },
      ],
      [/is not TOML/, () => writeFileSync(path(), Buffer.of(0xff, 0xfe, 0, 1))],
    ];
    for (const [why, make] of kinds) {
      make();
      await fails(why);
      rmSync(path(), { recursive: true });
    }
  });
});
