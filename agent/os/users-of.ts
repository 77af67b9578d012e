import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { allPids } from "./process.ts";

/**
 * The directories in use by running processes: as working directory or root, or by an executable, open or mapped file
 * in them: proc(5).
 * @param directories absolute paths without a trailing slash
 */
export function directoriesInUse(directories: readonly string[]): Set<string> {
  const used = new Set<string>();
  if (directories.length === 0) return used;
  for (const pid of allPids()) {
    for (const path of pathsOf(pid)) {
      const found = directories.find((directory) => path === directory || path.startsWith(`${directory}/`));
      if (found !== undefined) used.add(found);
    }
  }
  return used;
}

function* pathsOf(pid: number): Generator<string> {
  const base = `/proc/${pid}`;
  for (const name of ["cwd", "exe", "root"]) yield* link(join(base, name));
  try {
    for (const fd of readdirSync(join(base, "fd"))) yield* link(join(base, "fd", fd));
    // Mapped files have no descriptor: shared libraries, native modules.
    for (const line of readFileSync(join(base, "maps"), "utf8").split("\n")) {
      const at = line.indexOf("/");
      if (at !== -1) yield line.slice(at).replace(/ \(deleted\)$/, "");
    }
  } catch {
    // Ended, or not permitted.
  }
}

function* link(path: string): Generator<string> {
  try {
    yield readlinkSync(path).replace(/ \(deleted\)$/, "");
  } catch {
    // Ended, closed, or a kernel thread.
  }
}
