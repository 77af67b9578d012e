import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { repository } from "../release.ts";
import { runEnvironment } from "../run.ts";
import { until } from "../until.ts";
import { makeCgroups, removeCgroups } from "./cgroup.ts";
import type { HostTree } from "./root.ts";

/** What systemd as PID 1 takes for "power off" (systemd(1)). Node knows real-time signals by number only. */
const POWER_OFF = 34 + 4;

/**
 * What a host of its own lets programs do and nspawn does not: systemd's device filters, and sockets from other
 * processes.
 */
const CALLS = "bpf pidfd_getfd";

const GUARD = join(repository, "test/support/systemd/guard.sh");

/** One boot: systemd-nspawn, and the systemd that it runs as PID 1. */
export class Machine {
  private constructor(
    private readonly name: string,
    private readonly guard: ChildProcess,
    /** PID 1 of the machine, as it is called out here. */
    readonly leader: number,
  ) {}

  /**
   * @param name of the machine and of its cgroups
   * @param console the file that takes what systemd and nspawn say
   * @param options more of nspawn's
   */
  static async boot(name: string, tree: HostTree, console: string, options: string[] = []): Promise<Machine> {
    const groups = makeCgroups(name);
    const out = openSync(console, "a");
    const command = [
      ...["systemd-nspawn", "--quiet", "--directory", tree.root, "--machine", name],
      ...["--uuid", randomUUID().replaceAll("-", ""), "--register=no", "--keep-unit", "--private-network"],
      ...["--kill-signal=SIGRTMIN+3", `--system-call-filter=${CALLS}`, "--boot", "--console=pipe"],
      ...["--overlay", `/usr:${tree.upperUsr}:/usr`, "--bind", `${tree.share}:/srv/share`],
      ...(existsSync("/var/lib/dpkg") ? ["--overlay", `/var/lib/dpkg:${tree.upperDpkg}:/var/lib/dpkg`] : []),
      ...options,
    ];
    const guard = spawn(
      "setpriv",
      ["--pdeathsig", "TERM", "--", "/bin/bash", GUARD, dirname(tree.root), ...groups, "--", ...command],
      {
        stdio: ["ignore", out, out],
        env: { ...runEnvironment, PATH: `${process.env.PATH}:/usr/sbin`, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1" },
      },
    );
    closeSync(out);
    try {
      await once(guard, "spawn");
      const leader = await until(`systemd is PID 1 of ${name}`, () => (hasEnded(guard) ? -1 : leaderOf(guard)));
      if (leader === -1) throw new Error(missingOr(guard.exitCode, readFileSync(console, "utf8")));
      return new Machine(name, guard, leader);
    } catch (error) {
      guard.kill("SIGUSR1");
      await removeCgroups(name);
      throw error;
    }
  }

  get running(): boolean {
    return !hasEnded(this.guard);
  }

  /** Shuts down as a host does: every unit is stopped. A machine that takes longer loses its power. */
  async powerOff(timeoutMs: number): Promise<void> {
    try {
      if (this.running) process.kill(this.leader, POWER_OFF);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    await this.untilEnded(timeoutMs);
  }

  /** Nothing inside gets to do anything any more. */
  async powerCut(): Promise<void> {
    this.kill();
    await this.untilEnded(5_000);
  }

  /** Waits for an end that was begun inside, for example by `systemctl reboot`. */
  async untilEnded(timeoutMs: number): Promise<void> {
    if (this.running) {
      const insist = setTimeout(() => this.kill(), timeoutMs);
      await once(this.guard, "exit");
      clearTimeout(insist);
    }
    await removeCgroups(this.name);
    removeLeftover(`/run/systemd/nspawn/propagate/${this.name}`);
  }

  private kill(): void {
    if (this.running) this.guard.kill("SIGUSR1");
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** nspawn's child that is PID 1 of a PID namespace of its own, and is systemd by now; 0 as long as there is none. */
function leaderOf(guard: ChildProcess): number {
  const children = (pid: number) =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  const isLeader = (pid: number) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return /^Name:\tsystemd$/m.test(status) && /^NSpid:.*\t1$/m.test(status);
  };
  return (
    children(guard.pid as number)
      .flatMap(children)
      .find(isLeader) ?? 0
  );
}

function missingOr(exitCode: number | null, console: string): string {
  if (exitCode === 127) return "systemd-nspawn is not installed: run `apt-get install systemd-container`";
  return `systemd-nspawn ended with ${exitCode} before systemd ran:\n${console}`;
}

function removeLeftover(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // nspawn removed it, or never made it.
  }
}
