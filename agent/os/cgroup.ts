import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { getxattr } from "./libc.ts";

const LOOK_MS = 10;
/** How long the kernel may take to bury what was killed. */
const BURIAL_MS = 5_000;

/**
 * A group of processes in the unified hierarchy of control groups: cgroups(7), Documentation/admin-guide/cgroup-v2.rst.
 */
export class Cgroup {
  constructor(readonly path: string) {}

  /** The part of the hierarchy that systemd has handed to this service (`Delegate=yes`); null where there is none. */
  static delegated(): Cgroup | null {
    const own = Cgroup.of("self");
    if (!own) return null;
    // A unit may have its main process started in a group below: `DelegateSubgroup=`.
    const above = new Cgroup(join(own.path, ".."));
    return [own, above].find(({ path }) => getxattr(path, "user.delegate") === "1") ?? null;
  }

  /** The group that a process is in; null where that can't be seen from here. */
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

  /** The controllers that can be given to the groups below. */
  get controllers(): string[] {
    return words(this.readText("cgroup.controllers"));
  }

  /** The controllers that the groups below have. */
  get enabled(): string[] {
    return words(this.readText("cgroup.subtree_control"));
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** The one of that group's children that this one is, or is below of; null where it is elsewhere. */
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

  /** Gives controllers to the groups below. @throws EBUSY where processes are in this group itself. */
  enable(controllers: readonly string[]): void {
    for (const controller of controllers) this.write("cgroup.subtree_control", `+${controller}`);
  }

  /** Whether it has a file of that name, and with it that controller. */
  has(file: string): boolean {
    return existsSync(join(this.path, file));
  }

  write(file: string, value: string): void {
    writeFileSync(join(this.path, file), value);
  }

  /** A file's text; empty where it can't be read. */
  readText(file: string): string {
    try {
      return readFileSync(join(this.path, file), "utf8");
    } catch {
      return "";
    }
  }

  /** Moves a process here. What it starts from then on is born here. */
  addProcess(pid: number): void {
    this.write("cgroup.procs", String(pid));
  }

  /** The same, unless it has ended since. */
  tryToAddProcess(pid: number): void {
    try {
      this.addProcess(pid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  /** The processes here and below. */
  pids(): number[] {
    const own = words(this.readText("cgroup.procs")).map(Number);
    return [...own, ...this.children().flatMap((child) => child.pids())];
  }

  /** A count of events, for example `oom_kill` in `memory.events`; 0 where it is not counted. */
  count(file: string, event: string): number {
    return Number(new RegExp(`^${event} (\\d+)$`, "m").exec(this.readText(file))?.[1] ?? 0);
  }

  /**
   * Kills all that is here and below, also what forks meanwhile. @returns false where the kernel can't (before 5.14),
   * or it is gone.
   */
  kill(): boolean {
    try {
      this.write("cgroup.kill", "1");
      return true;
    } catch {
      return false;
    }
  }

  /** Removes it; kills what is still in it. @throws where that does not end. */
  async end(): Promise<void> {
    const end = performance.now() + BURIAL_MS;
    while (!this.remove()) {
      if (performance.now() > end)
        throw new Error(`${this.path} can't be removed; in it are ${this.pids().join(", ")}`);
      this.kill();
      await sleep(LOOK_MS);
    }
  }

  /** Removes it, and all that is below it; what still has processes stays. @returns whether it is gone. */
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

/** Where the unified hierarchy is mounted, from its root on: proc(5), mountinfo. */
function mountPoint(): string | null {
  if (mountPointCache !== undefined) return mountPointCache;
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const found = mounts.map((line) => line.split(" ")).find((fields) => fields[3] === "/" && fields.includes("cgroup2"));
  mountPointCache = found?.[4] ?? null;
  return mountPointCache;
}
