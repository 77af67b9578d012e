import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { repository } from "../support/release.ts";

let top: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "slotd-scripts-"));
});
afterEach(() => rmSync(top, { recursive: true }));

function write(path: string, content: unknown = ""): void {
  mkdirSync(join(top, dirname(path)), { recursive: true });
  writeFileSync(join(top, path), typeof content === "string" ? content : JSON.stringify(content));
}

function run(script: string): { status: number | null; stderr: string } {
  return spawnSync(process.execPath, [join(repository, "scripts/lib", script), top], { encoding: "utf8" });
}

describe("the look at what npm has installed", () => {
  const one = { version: "1.0.0", integrity: "sha512-one" };
  const LOCK = {
    "": { name: "slotd" },
    "node_modules/one": one,
    "node_modules/elsewhere": { ...one, optional: true },
  };
  const installed = (packages: object, lock: object = LOCK) => {
    write("package-lock.json", { packages: lock });
    write("node_modules/.package-lock.json", { packages });
    const { status, stderr } = run("installed.mjs");
    return status === 0 ? "complete" : stderr.trim();
  };

  it("finds it complete where an optional package is absent, whoever installed it", () => {
    write("node_modules/one/package.json", "{}");
    assert.equal(installed({ "node_modules/one": one }), "complete");
  });

  it("finds what is missing, another version, and what is too much", () => {
    assert.equal(installed({}), "node_modules/one is missing");
    assert.equal(installed({ "node_modules/one": one }), "node_modules/one is missing", "its files are not there");
    write("node_modules/one/package.json", "{}");
    const other = { ...one, version: "0.9.0" };
    assert.equal(installed({ "node_modules/one": other }), "node_modules/one is another one than 1.0.0");
    const both = { "node_modules/one": one, "node_modules/two": one };
    assert.equal(installed(both), "node_modules/two is not in package-lock.json");
  });

  it("finds nothing where there is nothing", () => {
    write("package-lock.json", { packages: LOCK });
    assert.equal(run("installed.mjs").stderr.trim(), "nothing is installed");
  });
});

describe("the installation of npm packages", () => {
  const one = { version: "1.0.0", integrity: `sha512-${Buffer.alloc(64).toString("base64")}` };
  const lock = (packages: object) => ({ name: "here", version: "1.0.0", lockfileVersion: 3, packages });
  const MANIFEST = { name: "here", version: "1.0.0", dependencies: { one: "1.0.0" } };

  beforeEach(() => {
    for (const name of ["setup.sh", "installed.mjs"])
      write(`scripts/lib/${name}`, readFileSync(join(repository, "scripts/lib", name), "utf8"));
    write("package.json", MANIFEST);
    write("package-lock.json", lock({ "": MANIFEST, "node_modules/one": one }));
    write("node_modules/one/package.json", { name: "one", version: "1.0.0" });
  });

  /** Nobody listens on port 1, so that the registry is unreachable, and npm's cache is empty. */
  const install = () =>
    spawnSync("bash", ["-c", ". scripts/lib/setup.sh; need_npm_packages"], {
      cwd: top,
      encoding: "utf8",
      env: {
        PATH: process.env.PATH,
        HOME: top,
        npm_config_registry: "http://127.0.0.1:1/",
        npm_config_fetch_retries: "0",
        npm_config_cache: join(top, "cache"),
      },
    });

  it("asks no registry where node_modules has what the lock file names", () => {
    write("node_modules/.package-lock.json", lock({ "node_modules/one": one }));
    const { status, stderr } = install();
    assert.deepEqual([status, stderr], [0, ""]);
  });

  it("leaves node_modules as it was where the registry can't be reached, and says so", () => {
    write("node_modules/.package-lock.json", lock({ "node_modules/one": { ...one, version: "0.9.0" } }));
    const { status, stderr } = install();
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^installing npm packages \(node_modules\/one is another one than 1\.0\.0\) …$/m);
    assert.match(stderr, /^error: npm could not install .* node_modules is as it was\./m);
    assert.ok(existsSync(join(top, "node_modules/one/package.json")));
    assert.deepEqual(readdirSync(join(top, ".cache")), [], "nothing is left beside it");
  });
});

describe("the removal of stale outputs", () => {
  it("takes what was compiled from a source that is gone, and leaves the rest", () => {
    write("agent/main.ts");
    for (const path of ["agent/main.js", "agent/main.js.map", "agent/old/gone.js", "agent/old/gone.js.map"])
      write(`dist/${path}`);
    for (const path of ["gone.test.js", "slotd_1_amd64.deb", ".tsbuildinfo"]) write(`dist/${path}`);
    assert.equal(run("drop-stale.mjs").status, 0);
    const there = (path: string) => existsSync(join(top, "dist", path));
    assert.deepEqual(["agent/main.js", "agent/main.js.map", "slotd_1_amd64.deb", ".tsbuildinfo"].map(there), [
      true,
      true,
      true,
      true,
    ]);
    assert.deepEqual(["agent/old", "gone.test.js"].map(there), [false, false]);
  });

  it("needs nothing to be there", () => {
    assert.equal(run("drop-stale.mjs").status, 0);
  });
});
