import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Identifies a process uniquely, even across reboots and reused pids. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks from boot to the process's start: field 22 of /proc/PID/stat, proc(5). */
  startTime: number;
  bootId: string;
}

let bootIdCache: string | undefined;

/** The kernel's id of this boot. */
export function bootId(): string {
  bootIdCache ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return bootIdCache;
}

interface Stat {
  state: string;
  parent: number;
  group: number;
  threads: number;
  startTime: number;
}

/** Selected fields of /proc/PID/stat; null if there is no such process. */
export function processStat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command's name is in parentheses and may itself contain parentheses and spaces.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return {
      state: fields[0] as string,
      parent: Number(fields[1]),
      group: Number(fields[2]),
      threads: Number(fields[17]),
      startTime: Number(fields[19]),
    };
  } catch {
    return null;
  }
}

/**
 * The identity of a running process. A zombie counts as ended: it has nothing open. But if only the first thread has
 * ended, the other threads still hold the process's open files.
 */
export function identify(pid: number): ProcessIdentity | null {
  const stat = processStat(pid);
  if (!stat || ("ZX".includes(stat.state) && stat.threads <= 1)) return null;
  return { pid, startTime: stat.startTime, bootId: bootId() };
}

/** Clock ticks per second in /proc (USER_HZ): 100 on every platform that Node supports. */
const TICKS_PER_SECOND = 100;

/** How long ago a process started, in ms, by the kernel's monotonic clock. */
export function processAgeMs(identity: ProcessIdentity): number {
  const [uptime] = readFileSync("/proc/uptime", "utf8").split(" ");
  return Math.max(0, (Number(uptime) - identity.startTime / TICKS_PER_SECOND) * 1000);
}

export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  return identify(identity.pid)?.startTime === identity.startTime;
}

/** A process's environment; null if the process has ended or may not be read. */
export function environment(pid: number): Map<string, string> | null {
  try {
    const pairs = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    return new Map(
      pairs.filter((p) => p.includes("=")).map((p) => [p.slice(0, p.indexOf("=")), p.slice(p.indexOf("=") + 1)]),
    );
  } catch {
    return null;
  }
}

/** A process's command line, joined by spaces. */
export function commandLine(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
    return words.join(" ") || readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "unknown";
  }
}

export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** A process's descriptors and their readlink targets: `socket:[INODE]`, a path, … */
export function descriptors(pid: number): Map<number, string> {
  const found = new Map<number, string>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      try {
        found.set(Number(fd), readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        // Closed meanwhile.
      }
    }
  } catch {
    // Ended, or not permitted.
  }
  return found;
}

/** The descriptor by which a service's socket is inherited: it is looked at first. */
const INHERITED = 3;

/** Whether one of a process's descriptors is that: see `descriptors`. There may be tens of thousands of others. */
export function holds(pid: number, target: string): boolean {
  const base = `/proc/${pid}/fd`;
  const is = (fd: string) => {
    try {
      return readlinkSync(`${base}/${fd}`) === target;
    } catch {
      return false;
    }
  };
  if (is(String(INHERITED))) return true;
  try {
    return readdirSync(base).some(is);
  } catch {
    // Gone, or not ours to look into.
    return false;
  }
}

/** The running processes whose environment has a token, with that environment. */
export function findByToken(
  variable: string,
  token: string,
): { identity: ProcessIdentity; env: Map<string, string> }[] {
  const found = [];
  const needle = `${variable}=${token}`;
  for (const pid of allPids()) {
    let raw: Buffer;
    try {
      raw = readFileSync(`/proc/${pid}/environ`);
    } catch {
      continue;
    }
    if (!raw.includes(needle)) continue;
    const env = environment(pid);
    const identity = identify(pid);
    if (env?.get(variable) === token && identity) found.push({ identity, env });
  }
  return found;
}
