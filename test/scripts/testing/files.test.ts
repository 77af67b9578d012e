import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { compiled, importsOf, testFiles, whySlow } from "../../../scripts/testing/files.ts";
import { repository } from "../../support/release.ts";

describe("the files of a run of the tests", () => {
  let top: string;
  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), "slotd-files-"));
  });
  afterEach(() => rmSync(top, { recursive: true }));

  const write = (files: Record<string, string>) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(top, dirname(path)), { recursive: true });
      writeFileSync(join(top, path), text);
    }
  };

  it("are those that have a source, whatever was compiled before", () => {
    write({ "test/b.test.ts": "", "test/a/a.test.ts": "", "test/support/b.ts": "", "dist/test/moved.test.js": "" });
    assert.deepEqual(testFiles(top), ["test/a/a.test.ts", "test/b.test.ts"]);
    assert.equal(compiled("test/a/a.test.ts"), "dist/test/a/a.test.js");
  });

  const slow: [what: string, line: string][] = [
    ["starts a program that goes on", 'import { execFileSync, spawn } from "node:child_process";'],
    ["serves", 'import { createServer } from "node:http";'],
    ["connects", 'import { isIP, connect as dial } from "node:net";'],
    ["speaks with a bus", 'import { Kvm } from "@nats-io/kv";'],
    ["sleeps", 'import { setTimeout as sleep } from "node:timers/promises";'],
    ["waits for an event", 'import {\n  PATIENCE_MS,\n  until,\n} from "./support/until.ts";'],
    ["passes on what waits", 'export { until } from "./support/until.ts";'],
    ["uses a server that support starts", 'import { Server } from "./support/server.ts";'],
  ];
  for (const [what, line] of slow)
    it(`are not quick where one ${what}`, () => {
      write({
        "test/a.test.ts": `${line}\n`,
        "test/support/server.ts": 'import { type Other, start } from "./start.ts";\nexport class Server {}\n',
        "test/support/start.ts": 'import { Server } from "./server.ts";\nimport { spawn } from "node:child_process";\n',
        "test/support/until.ts": 'import { setTimeout as sleep } from "node:timers/promises";\n',
      });
      assert.notEqual(whySlow(top, "test/a.test.ts"), null);
    });

  it("are quick where they import types, and functions that return at once", () => {
    const lines = [
      'import { execFileSync } from "node:child_process";',
      'import { isIP, type Socket } from "node:net";',
      'import type { Server } from "node:http";',
      'import { type Kv } from "@nats-io/kv";',
      'import { run } from "../product/run.ts";',
    ];
    write({ "test/a.test.ts": lines.join("\n"), "product/run.ts": 'import { spawn } from "node:child_process";\n' });
    assert.equal(whySlow(top, "test/a.test.ts"), null);
  });

  it("name why they are slow", () => {
    write({
      "test/a.test.ts": 'import { Bus } from "./support/bus.ts";\n',
      "test/support/bus.ts": 'import { spawn } from "node:child_process";\n',
    });
    assert.equal(whySlow(top, "test/a.test.ts"), "test/support/bus.ts imports spawn from node:child_process");
  });

  it("have the imports that their text has", () => {
    assert.deepEqual(importsOf('import "./a.ts";\nimport b, { c as d, type E } from "./b.ts";\n'), [
      { from: "./a.ts", names: [] },
      { from: "./b.ts", names: ["b", "c"] },
    ]);
  });

  it("have the rules of the house and the wire among the quick ones, and no real agent or bus", () => {
    const quick = testFiles(repository).filter((path) => whySlow(repository, path) === null);
    for (const path of [
      "test/repository/rules.test.ts",
      "test/protocol/order.test.ts",
      "test/agent/slots/decide.test.ts",
    ])
      assert(quick.includes(path), path);
    for (const path of ["test/agent/drain.test.ts", "test/edge/edge.test.ts", "test/systemd/host.test.ts"])
      assert(!quick.includes(path), path);
  });
});
