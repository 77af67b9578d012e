import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A directory for one test, which takes it away when it ends, however it ends. */
export async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "slotctl-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
