import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Cgroup } from "../../../agent/os/cgroup.ts";
import { ProcessTable } from "../../../agent/os/process-table.ts";
import { memoryAbove, memoryOf } from "../../../agent/workers/watch/memory.ts";

describe("a worker's memory", () => {
  const directory = mkdtempSync(join(tmpdir(), "slotd-memory-"));
  after(() => rmSync(directory, { recursive: true }));

  it("is what its cgroup says, without the page cache", () => {
    const said = { anon: 70_000_000, file: 900_000_000, kernel: 1_000_000, shmem: 5_000_000, file_mapped: 40_000_000 };
    const lines = Object.entries(said).map(([name, bytes]) => `${name} ${bytes}\n`);
    writeFileSync(join(directory, "memory.stat"), lines.join(""));
    const worker = { pid: process.pid, cgroup: new Cgroup(directory) };
    const unasked = () => assert.fail("no process is looked for");
    assert.equal(memoryOf(worker, unasked), 75_000_000);
    assert.equal(memoryAbove(75_000_000, worker, unasked), null);
    assert.equal(memoryAbove(74_999_999, worker, unasked), 75_000_000);
  });

  it("is what its processes have to themselves where its cgroup accounts no memory, or it has none", () => {
    const table = () => ProcessTable.read();
    const taken: Buffer[] = [];
    for (const cgroup of [null, new Cgroup(join(directory, "none"))]) {
      const worker = { pid: process.pid, cgroup };
      const before = memoryOf(worker, table);
      taken.push(Buffer.alloc(50_000_000, 1));
      const grown = memoryOf(worker, table) - before;
      assert(grown > 45_000_000 && grown < 80_000_000, `${grown} for 50 MB, the ${taken.length}th time`);
      assert.equal(memoryAbove(2 ** 40, worker, table), null);
      assert((memoryAbove(20_000_000, worker, table) ?? 0) > 20_000_000);
    }
  });

  it("is nothing once it has ended", () => {
    assert.equal(
      memoryOf({ pid: 2 ** 30, cgroup: null }, () => ProcessTable.read()),
      0,
    );
  });
});
