import assert from "node:assert/strict";
import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "node:test";

/**
 * A directory of each test's own. What a test needs ended beside it goes into `ends`, run in reverse, whatever happens.
 */
export function useScratch(): { dir: string; ends: (() => unknown)[] } {
  const scratch = { dir: "", ends: [] as (() => unknown)[] };
  beforeEach(async () => {
    scratch.dir = await mkdtemp(join(tmpdir(), "slotd-releases-"));
  });
  afterEach(async () => {
    const failures: unknown[] = [];
    for (const end of scratch.ends.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    const open = await openBelow(scratch.dir);
    await rm(scratch.dir, { recursive: true, force: true }).catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
    assert.deepEqual(open, [], "files were left open");
  });
  return scratch;
}

/** All that is in a store's directory, hidden or not. */
export async function namesIn(dir: string): Promise<string[]> {
  return (await readdir(dir)).sort();
}

/** The files in a directory, deleted ones too, that this process holds open. */
async function openBelow(dir: string): Promise<string[]> {
  const fds = await readdir("/proc/self/fd");
  const paths = await Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")));
  return paths.filter((path) => path.startsWith(dir));
}
