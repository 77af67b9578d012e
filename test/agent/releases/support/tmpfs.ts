import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A real, small file system at `path`. Needs root; where mounting is not permitted the test fails and says so. */
export function mountTmpfs(path: string, options: string): Promise<() => Promise<void>> {
  return mount("tmpfs", path, ["-o", `mode=0755,${options}`]);
}

/** A file system without fallocate(2), in memory and without a bound. */
export function mountRamfs(path: string): Promise<() => Promise<void>> {
  return mount("ramfs", path);
}

async function mount(type: string, path: string, options: string[] = []): Promise<() => Promise<void>> {
  await mkdir(path, { recursive: true });
  await run("mount", ["-t", type, ...options, type, path]).catch((cause) => {
    throw new Error(`this test needs to mount a ${type}: run it as root where mount works`, { cause });
  });
  return async () => {
    await run("umount", [path]);
  };
}
