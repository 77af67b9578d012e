import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { openStore, quietly, releaseInFile } from "../support/installing.ts";
import { zstd } from "../support/packing.ts";
import { useScratch } from "../support/scratch.ts";
import { tarOf } from "../support/tar-builder.ts";

const scratch = useScratch();
const NICE_FIELD = 18;

/** The nice values of this process's threads. */
function niceOfThreads(): Map<string, number> {
  const found = new Map<string, number>();
  for (const tid of readdirSync("/proc/self/task")) {
    try {
      found.set(tid, niceIn(readFileSync(`/proc/self/task/${tid}/stat`, "latin1")));
    } catch {
      // Ended since.
    }
  }
  return found;
}

/** The fields after the command's name begin with the third. */
function niceIn(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[NICE_FIELD - 2]);
}

function niceOfChildren(): number[] {
  return readdirSync("/proc/self/task").flatMap((tid) => {
    try {
      const pids = readFileSync(`/proc/self/task/${tid}/children`, "utf8").split(" ").filter(Boolean);
      return pids.map((pid) => niceIn(readFileSync(`/proc/${pid}/stat`, "latin1")));
    } catch {
      return [];
    }
  });
}

describe("the priority of unpacking", () => {
  it("what unpacks has a low priority, what decompresses by a command too, and the agent's own thread keeps its own", async () => {
    const store = await openStore(scratch.dir);
    const files = Array.from({ length: 3000 }, (_, i) => ({ path: `d${i % 50}/f${i}`, content: `${i}`.repeat(500) }));
    const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", zstd(tarOf(files))), quietly());
    const own = niceOfThreads().get(String(process.pid));
    const before = new Set(niceOfThreads().keys());
    const threads: number[] = [];
    const children: number[] = [];
    await store.unpack(fetched, {
      ...quietly(),
      onProgress() {
        for (const [tid, nice] of niceOfThreads()) if (!before.has(tid)) threads.push(nice);
        children.push(...niceOfChildren());
        assert.equal(niceOfThreads().get(String(process.pid)), own);
      },
    });
    assert.ok(threads.includes((own ?? 0) + 10), `of its threads: ${threads}`);
    if (children.length > 0) assert.deepEqual([...new Set(children)], [(own ?? 0) + 10]);
  });

  it("the event loop is free while it is unpacked", async () => {
    const store = await openStore(scratch.dir);
    const files = Array.from({ length: 5000 }, (_, i) => ({ path: `d${i % 50}/f${i}`, content: `${i}`.repeat(5000) }));
    const fetched = await store.fetch(await releaseInFile(scratch.dir, "v1", gzipSync(tarOf(files))), quietly());
    const delay = monitorEventLoopDelay({ resolution: 1 });
    scratch.ends.push(() => delay.disable());
    delay.enable();
    await store.unpack(fetched, quietly());
    const p99 = delay.percentile(99) / 1e6;
    console.log(`event loop delay: p99 ${p99.toFixed(1)} ms, longest ${(delay.max / 1e6).toFixed(1)} ms`);
    // On a machine that does nothing else it is 20 at most: docs/benchmarks.md. Here others are at work.
    assert.ok(p99 < 100, `p99 ${p99} ms`);
  });
});
