import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
