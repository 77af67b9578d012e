import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { getxattr } from "./libc.ts";

const POLL_MS = 10;
/** How long the kernel may take to clear killed processes. */
const KILL_TIMEOUT_MS = 5_000;

/**
 * A group of processes in the unified hierarchy of control groups: cgroups(7), Documentation/admin-guide/cgroup-v2.rst.
 */
export class Cgroup {
  constructor(readonly path: string) {}

  /** The part of the hierarchy that systemd delegated to this service (`Delegate=yes`); null without delegation. */
  static delegated(): Cgroup | null {
    const own = Cgroup.of("self");
    if (!own) return null;
    // A unit may start its main process in a subgroup: `DelegateSubgroup=`.
    const above = new Cgroup(join(own.path, ".."));
    return [own, above].find(({ path }) => getxattr(path, "user.delegate") === "1") ?? null;
  }

  /** The group of a process; null if it can't be determined. */
  static of(pid: number | "self"): Cgroup | null {
    try {
      const line = readFileSync(`/proc/${pid}/cgroup`, "utf8")
        .split("\n")
        .find((each) => each.startsWith("0::"));
      const top = mountPoint();
      return line && top ? new Cgroup(join(top, line.slice("0::".length))) : null;
    } catch {
      return null;
    }
  }

  /** The controllers that can be enabled for subgroups. */
  get controllers(): string[] {
    return words(this.readText("cgroup.controllers"));
  }

  /** The controllers enabled for subgroups. */
  get enabled(): string[] {
    return words(this.readText("cgroup.subtree_control"));
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** The child of `above` that is this group or contains it; null if this group is not below `above`. */
  below(above: Cgroup): Cgroup | null {
    if (!this.path.startsWith(`${above.path}/`)) return null;
    return above.child(this.path.slice(above.path.length + 1).split("/")[0] as string);
  }

  child(name: string): Cgroup {
    return new Cgroup(join(this.path, name));
  }

  children(): Cgroup[] {
    try {
      const entries = readdirSync(this.path, { withFileTypes: true });
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => this.child(name));
    } catch {
      return [];
    }
  }

  make(): this {
    mkdirSync(this.path, { recursive: true });
    return this;
  }

  /** Enables controllers for subgroups. @throws EBUSY if this group itself has processes. */
  enable(controllers: readonly string[]): void {
    for (const controller of controllers) this.write("cgroup.subtree_control", `+${controller}`);
  }

  /** Whether the group has this file, and so the file's controller. */
  has(file: string): boolean {
    return existsSync(join(this.path, file));
  }

  write(file: string, value: string): void {
    writeFileSync(join(this.path, file), value);
  }

  /** A file's text; empty if it can't be read. */
  readText(file: string): string {
    try {
      return readFileSync(join(this.path, file), "utf8");
    } catch {
      return "";
    }
  }

  /** Moves a process here. Processes that it starts later are in this group, too. */
  addProcess(pid: number): void {
    this.write("cgroup.procs", String(pid));
  }

  /** Like `addProcess`, but ignores a process that has ended. */
  tryToAddProcess(pid: number): void {
    try {
      this.addProcess(pid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  /** The processes of this group and its subgroups. */
  pids(): number[] {
    const own = words(this.readText("cgroup.procs")).map(Number);
    return [...own, ...this.children().flatMap((child) => child.pids())];
  }

  /** A counter in an events file, for example `oom_kill` in `memory.events`; 0 if it is missing. */
  count(file: string, event: string): number {
    return Number(new RegExp(`^${event} (\\d+)$`, "m").exec(this.readText(file))?.[1] ?? 0);
  }

  /**
   * Kills all processes of this group and its subgroups, including those forked meanwhile.
   * @returns false if the kernel can't (before 5.14), or the group is gone.
   */
  kill(): boolean {
    try {
      this.write("cgroup.kill", "1");
      return true;
    } catch {
      return false;
    }
  }

  /** Kills the group's processes and removes it. @throws if processes remain. */
  async end(): Promise<void> {
    const end = performance.now() + KILL_TIMEOUT_MS;
    while (!this.remove()) {
      if (performance.now() > end)
        throw new Error(`${this.path} can't be removed: it still has processes ${this.pids().join(", ")}`);
      this.kill();
      await sleep(POLL_MS);
    }
  }

  /** Removes the group and its subgroups, except those that have processes. @returns whether the group is gone. */
  remove(): boolean {
    for (const child of this.children()) child.remove();
    try {
      rmdirSync(this.path);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ENOENT";
    }
  }
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}

let mountPointCache: string | null | undefined;

/** Where the root of the unified hierarchy is mounted: proc(5), mountinfo. */
function mountPoint(): string | null {
  if (mountPointCache !== undefined) return mountPointCache;
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const found = mounts.map((line) => line.split(" ")).find((fields) => fields[3] === "/" && fields.includes("cgroup2"));
  mountPointCache = found?.[4] ?? null;
  return mountPointCache;
}
