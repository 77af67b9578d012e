import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** One run of the tests: every process of it has the id in its environment, and every file is in the directory. */
export interface TestRun {
  /** Eight hexadecimal digits, which no other run has. */
  id: string;
  directory: string;
}

/** The name of the variable that carries a run's id. */
export const RUN = "SLOTD_TEST_RUN";

export interface LeftProcess {
  pid: number;
  command: string;
  /** TCP ports that it listens on. */
  ports: number[];
}

export interface Leftovers {
  processes: LeftProcess[];
  /** Mount points, the innermost first. */
  mounts: string[];
  /** Files, directories and cgroups. */
  paths: string[];
}

/** Where a run's own things are named by its id. */
const NAMED = ["/dev/shm", "/run/systemd/nspawn/propagate"];

/**
 * What a run left: processes by environment, working directory or cgroup; mounts; files in its directory; what is named
 * by its id.
 */
export function findLeftovers({ id, directory }: TestRun): Leftovers {
  const inside = (path: string) => path.startsWith(`${directory}/`) || path.includes(`-${id}-`);
  const ownLine = new Set(ancestors());
  const pids = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && !ownLine.has(Number(name)))
    .filter((pid) => {
      const [, state = "Z"] = /\) (\S)/.exec(read(`/proc/${pid}/stat`)) ?? [];
      if ("ZX".includes(state)) return false;
      const environment = `\0${read(`/proc/${pid}/environ`)}`;
      return (
        environment.includes(`\0${RUN}=${id}\0`) ||
        inside(link(`/proc/${pid}/cwd`)) ||
        read(`/proc/${pid}/cgroup`).includes(`-${id}-`)
      );
    })
    .map(Number);
  const points = read("/proc/self/mountinfo")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter(inside);
  const named = [...NAMED, ...cgroupTrees()].flatMap((at) =>
    list(at)
      .filter((name) => name.includes(`-${id}-`))
      .map((name) => join(at, name)),
  );
  return {
    processes: pids.map((pid) => ({ pid, command: commandOf(pid), ports: portsOf(pid) })),
    mounts: points.reverse(),
    paths: [...list(directory).map((name) => join(directory, name)), ...named],
  };
}

/** Lines that name what was left; none where nothing was. */
export function describeLeftovers({ processes, mounts, paths }: Leftovers): string[] {
  return [
    ...processes.map(({ pid, command, ports }) => {
      const listens = ports.length > 0 ? `, listens on ${ports.join(", ")}` : "";
      return `process ${pid}: ${command}${listens}`;
    }),
    ...mounts.map((path) => `mount ${path}`),
    ...paths.map((path) => `path ${path}`),
  ];
}

/** What was left once processes that were about to end have had a moment for it. */
export async function settledLeftovers(run: TestRun, withinMs = 5_000): Promise<Leftovers> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = findLeftovers(run);
    if (describeLeftovers(found).length === 0 || performance.now() > end) return found;
    await sleep(100);
  }
}

/**
 * Ends the processes of a run, by their pids, unmounts, and removes what it left. @returns what could not be removed
 */
export async function clearLeftovers(
  run: TestRun,
  unmount: (path: string) => void,
  withinMs = 10_000,
): Promise<Leftovers> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = findLeftovers(run);
    for (const { pid } of found.processes) kill(pid);
    for (const path of found.mounts) attempt(() => unmount(path));
    if (found.processes.length + found.mounts.length === 0) for (const path of found.paths) attempt(() => remove(path));
    const left = findLeftovers(run);
    if (describeLeftovers(left).length === 0 || performance.now() > end) return left;
    await sleep(50);
  }
}

function kill(pid: number): void {
  attempt(() => process.kill(pid, "SIGKILL"));
}

function remove(path: string): void {
  if (cgroupTrees().includes(dirname(path))) removeCgroup(path);
  else rmSync(path, { recursive: true, force: true });
}

/** A cgroup goes by rmdir alone, its innermost first. */
function removeCgroup(path: string): void {
  const inner = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
  const paths = inner.map((entry) => join(entry.parentPath, entry.name)).sort((a, b) => b.length - a.length);
  for (const each of [...paths, path]) rmdirSync(each);
}

function cgroupTrees(): string[] {
  const tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"].filter(existsSync);
  const own = read("/proc/self/cgroup")
    .split("\n")
    .map((line) => line.split(":")[2] ?? "");
  return [...new Set(tops.flatMap((top) => [top, ...own.map((path) => join(top, path))]))].filter(existsSync);
}

/** This process, and those that it was started by: they know the id because they gave it. */
function ancestors(): number[] {
  const line: number[] = [];
  for (let pid = process.pid; pid > 1; ) {
    line.push(pid);
    pid = Number(/^PPid:\t(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
  }
  return line;
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`)
    .replaceAll(/[\0\s]+/g, " ")
    .trim()
    .slice(0, 200);
}

function portsOf(pid: number): number[] {
  const sockets = new Set(
    list(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1]),
  );
  const LISTEN = "0A";
  return ["tcp", "tcp6"].flatMap((name) =>
    read(`/proc/${pid}/net/${name}`)
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === LISTEN && sockets.has(inode))
      .map(([, local = ""]) => Number.parseInt(local.split(":")[1] ?? "", 16)),
  );
}

function read(path: string): string {
  return attempt(() => readFileSync(path, "latin1")) ?? "";
}

function link(path: string): string {
  return attempt(() => readlinkSync(path)) ?? "";
}

function list(path: string): string[] {
  return attempt(() => readdirSync(path)) ?? [];
}

/** What is looked at may be gone by then, and what is in the way for a moment is tried again by the caller. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
