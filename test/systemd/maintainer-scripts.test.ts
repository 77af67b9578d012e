import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { buildPackage } from "../support/systemd/package.ts";
import { until } from "../support/until.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const OTHER = "fedcba9876543210fedcba9876543210";

/** The scripts of the package, run on a root of their own, without systemd: no agent stops the workers. */
describe("removing the package after its agent has failed", () => {
  let unpacked: string;
  let root: string;
  let running: ChildProcess[];

  before(async () => {
    unpacked = mkdtempSync(join(tmpdir(), "slotd-deb-"));
    await promisify(execFile)("dpkg-deb", ["--raw-extract", await buildPackage(), unpacked]);
  });
  after(() => rmSync(unpacked, { recursive: true, force: true }));
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "slotd-root-"));
    running = [];
    for (const [service, token] of [
      ["web", TOKEN],
      ["api", OTHER],
    ] as const) {
      mkdirSync(join(root, "var/lib/slotd", service), { recursive: true });
      writeFileSync(join(root, "var/lib/slotd", service, "token"), `${token}\n`);
    }
    mkdirSync(join(root, "etc/slotd"), { recursive: true });
  });
  afterEach(async () => {
    for (const child of running) await end(child);
    rmSync(root, { recursive: true, force: true });
  });

  const end = async (child: ChildProcess) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  /** A process as an agent starts its workers. */
  const worker = async (token: string, script = "setInterval(() => {}, 1000)"): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ["-e", `${script}; console.log("up")`], {
      env: { SLOTD_TOKEN: token, SLOTD_SLOT: "a" },
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    running.push(child);
    await once(child.stdout as NonNullable<typeof child.stdout>, "data");
    return child;
  };
  const script = (name: "prerm" | "postrm", argument: string) => {
    const env = { PATH: process.env.PATH, DPKG_ROOT: root };
    const { status, stderr } = spawnSync(join(unpacked, "DEBIAN", name), [argument], { env, encoding: "utf8" });
    return { status, stderr };
  };
  const ended = (child: ChildProcess) =>
    until("it has ended", () => child.exitCode !== null || child.signalCode !== null);

  it("ends the workers that are left, known by their token, and nobody else", async () => {
    const [one, two, stranger] = [
      await worker(`${TOKEN}.a`),
      await worker(`${OTHER}.b`),
      await worker("00000000000000000000000000000000.a"),
    ];
    assert.deepEqual(script("prerm", "remove"), {
      status: 0,
      stderr: "slotd: ending 2 workers that no agent has ended\n",
    });
    await Promise.all([ended(one), ended(two)]);
    assert.deepEqual([one.signalCode, two.signalCode], ["SIGTERM", "SIGTERM"]);
    assert.equal(stranger.exitCode ?? stranger.signalCode, null);
    assert.deepEqual(script("prerm", "remove"), { status: 0, stderr: "" });
  });

  it("kills those that ignore SIGTERM, also of an agent with a state directory of its own", async () => {
    const elsewhere = mkdtempSync(join(root, "elsewhere-"));
    writeFileSync(join(elsewhere, "token"), `${"a".repeat(32)}\n`);
    writeFileSync(join(root, "etc/slotd/web.toml"), `service = "web"\nstate_directory = "${elsewhere}" # here\n`);
    const child = await worker(`${"a".repeat(32)}.a`, 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)');
    assert.equal(script("prerm", "remove").status, 0);
    await ended(child);
    assert.equal(child.signalCode, "SIGKILL");
  });

  it("does not touch them on an upgrade", async () => {
    const child = await worker(`${TOKEN}.a`);
    assert.deepEqual(script("prerm", "upgrade"), { status: 0, stderr: "" });
    assert.equal(child.exitCode ?? child.signalCode, null);
  });

  it("refuses to purge the state that workers run from, and names them; without them it purges", async () => {
    const child = await worker(`${TOKEN}.a`);
    const { status, stderr } = script("postrm", "purge");
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`workers still run from .*: ${child.pid}\\. End them`));
    assert(existsSync(join(root, "var/lib/slotd/web/token")));
    await end(child);
    assert.deepEqual(script("postrm", "purge"), { status: 0, stderr: "" });
    assert(!existsSync(join(root, "var/lib/slotd")));
    assert(!existsSync(join(root, "etc/slotd")));
  });
});
