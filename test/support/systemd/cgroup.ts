import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "../until.ts";

/**
 * The trees that a systemd inside needs to own a part of: cgroup v2, wherever it is mounted, and v1's one of systemd.
 */
function hierarchies(): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const found = mounts.flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root, at = ""] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    const wanted = type === "cgroup2" || (type === "cgroup" && options.split(",").includes("name=systemd"));
    return wanted && root === "/" && at.startsWith("/sys/fs/cgroup") ? [at] : [];
  });
  if (found.length === 0) throw new Error("no cgroup v2 below /sys/fs/cgroup: a systemd can't be booted here");
  return found;
}

/** Makes a cgroup of that name in each tree, and returns their paths. */
export function makeCgroups(name: string): string[] {
  return hierarchies().map((at) => {
    const path = join(at, name);
    mkdirSync(path, { recursive: true });
    return path;
  });
}

/** Removes the cgroups of that name with all that is below them. Their processes may still be on their way out. */
export async function removeCgroups(name: string): Promise<void> {
  for (const at of hierarchies())
    await until(`cgroup ${join(at, name)} is empty and removed`, () => removeTree(join(at, name)));
}

/** Ends what runs in a cgroup and below it, and removes them; what is still on its way out is removed the next time. */
export function killTree(path: string): void {
  try {
    for (const entry of readdirSync(path, { recursive: true, withFileTypes: true }))
      if (entry.name === "cgroup.procs")
        for (const pid of readFileSync(join(entry.parentPath, entry.name), "utf8").split("\n").filter(Boolean))
          process.kill(Number(pid), "SIGKILL");
  } catch {
    // Someone else was faster.
  }
  removeTree(path);
}

/** As far as that goes at once. @returns whether nothing is left. */
function removeTree(path: string): boolean {
  if (!existsSync(path)) return true;
  try {
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) removeTree(join(path, entry.name));
    rmdirSync(path);
    return true;
  } catch {
    return !existsSync(path);
  }
}

/** The cgroups of hosts, by name, in any tree. */
export function cgroupsNamed(prefix: string): string[] {
  return hierarchies().flatMap((at) =>
    readdirSync(at)
      .filter((name) => name.startsWith(prefix))
      .map((name) => join(at, name)),
  );
}
