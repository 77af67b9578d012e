import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A real, small file system at `path`. Needs root; where mounting is not permitted the test fails and says so. */
export async function mountTmpfs(path: string, options: string): Promise<() => Promise<void>> {
  await mkdir(path, { recursive: true });
  await run("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path]).catch((cause) => {
    throw new Error(`this test fills a real disk and needs to mount a tmpfs: run it as root where mount works`, {
      cause,
    });
  });
  return async () => {
    await run("umount", [path]);
  };
}
