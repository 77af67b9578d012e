import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A directory for one test, always removed at its end. */
export async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "slotctl-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
