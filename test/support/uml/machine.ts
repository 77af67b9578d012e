import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { runId } from "../run.ts";
import type { RunOptions, RunResult } from "../systemd/host.ts";
import { PATIENCE_MS, until } from "../until.ts";
import { type GuestTree, makeGuest } from "./guest.ts";
import { Kernel } from "./kernel.ts";

export interface UmlOptions {
  /** 1024 by default. It is taken from this machine as it is used. */
  memoryMb?: number;
  /** Does this between making the root directory and the boot. */
  prepare?: (machine: UmlMachine) => void | Promise<void>;
}

/**
 * In memory: the machine's only processor stands still in each call to the file system out here, and a busy disk takes
 * seconds for an fsync.
 */
const MACHINES = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const ANSWERS_WITHIN_MS = 10_000;
const NAME = "slotd-uml";

let machines = 0;

/**
 * Boots a kernel of its own with systemd as PID 1, where cgroup v2 has every controller, and waits until all that boots
 * has come up or failed. `close()` is the caller's duty, also after a failure; when the process itself is killed, its
 * machines end and are removed by themselves.
 */
export async function bootUml(options: UmlOptions = {}): Promise<UmlMachine> {
  sweep();
  const machine = new UmlMachine(`${NAME}-${process.pid}-${runId}-${++machines}`, options.memoryMb ?? 1024);
  try {
    await options.prepare?.(machine);
    await machine.boot();
    return machine;
  } catch (error) {
    await machine.close();
    throw error;
  }
}

/**
 * A machine with a kernel of its own, which is a process out here (user-mode Linux): own /etc, /var, network and PIDs;
 * this machine's /usr under a layer of its own. It has one processor, and Node takes a second to start on it.
 */
export class UmlMachine {
  readonly directory: string;
  private readonly tree: GuestTree;
  private kernel: Kernel | undefined;
  private commands = 0;

  /** Only `bootUml` makes one. */
  constructor(
    readonly name: string,
    private readonly memoryMb: number,
  ) {
    this.directory = mkdtempSync(join(MACHINES, `${name}-`));
    this.tree = makeGuest(this.directory, name);
  }

  /** `/` of the machine as a path out here, without /usr, /tmp, /run. */
  get root(): string {
    return this.tree.root;
  }

  /** A directory that both sides see: /srv/share inside. */
  get share(): string {
    return this.tree.share;
  }

  // --- power

  async boot(): Promise<void> {
    if (this.kernel) throw new Error(`${this.name} was booted`);
    const path = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
    if (!path.some((directory) => existsSync(join(directory, "linux.uml"))))
      throw new Error("linux.uml is not installed: run `apt-get install user-mode-linux`");
    const kernel = new Kernel(this.tree, this.memoryMb, this.consoleFile);
    this.kernel = kernel;
    const over = new AbortController();
    const late = sleep(PATIENCE_MS, -1, { signal: over.signal }).catch(() => -1);
    const code = await Promise.race([kernel.untilUp(), kernel.ended.then(() => -1), late]);
    over.abort();
    if (code !== 0) throw new Error(`${this.name} did not boot:\n${this.console()}`);
    await this.run("systemctl is-system-running --wait", { check: false });
  }

  /** Ends it at once, as a power cut does, and removes all that there was of it. */
  async close(): Promise<void> {
    try {
      await this.kernel?.end();
    } finally {
      rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  // --- commands

  /** Runs a command inside, as root: a list as it is, a text by a shell. A signal's exit code is 128 and its number. */
  async run(command: string | string[], options: RunOptions = {}): Promise<RunResult> {
    const { timeoutMs = PATIENCE_MS, input = "", check = true } = options;
    if (!this.kernel?.running) throw new Error(`${this.name} is not running`);
    const text = typeof command === "string" ? command : command.map(quoted).join(" ");
    const id = String(++this.commands);
    const at = join(this.tree.commands, id);
    mkdirSync(at);
    writeFileSync(join(at, "command"), text);
    writeFileSync(join(at, "input"), input);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.kernel?.kill(id);
    }, timeoutMs);
    const over = new AbortController();
    // A machine that hangs does not even tell of the end.
    const never = sleep(timeoutMs + ANSWERS_WITHIN_MS, 0, { signal: over.signal }).catch(() => 0);
    const code = await Promise.race([this.kernel.run(id), never]);
    clearTimeout(timer);
    over.abort();
    const [stdout = "", stderr = ""] = ["stdout", "stderr"].map((name) =>
      existsSync(join(at, name)) ? readFileSync(join(at, name), "utf8") : "",
    );
    rmSync(at, { recursive: true, force: true });
    if (late) throw new Error(`not in ${timeoutMs} ms: ${text}\n${stdout}${stderr}`);
    if (code === -1) throw new Error(`${this.name} ended:\n${this.console()}`);
    if (check && code !== 0) throw new Error(`${text} ended with ${code}:\n${stdout}${stderr}`);
    return { stdout, stderr, code };
  }

  // --- units

  /** A property of a unit, as `systemctl show` tells it: `show(unit, "MainPID")`. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.run(["systemctl", "show", "--value", "--property", property, unit])).stdout.trim();
  }

  /** What a unit wrote, and what systemd says about it. */
  async journal(unit: string): Promise<string> {
    return (await this.run(["journalctl", "--no-pager", "--quiet", "--output=short-precise", "--unit", unit])).stdout;
  }

  /**
   * Starts a nats-server with JetStream inside, as a unit; in memory it would find too little room. @returns its URL,
   * for use inside
   */
  async startNats(port = 4222): Promise<string> {
    const server = `nats-server -js -sd /var/lib/nats -a 127.0.0.1 -p ${port}`;
    await this.run(`command -v nats-server >/dev/null || { echo "run apt-get install nats-server" >&2; exit 127; }
      systemd-run --quiet --unit=nats --collect ${server}`);
    const greeted = `exec 3<>/dev/tcp/127.0.0.1/${port} && read -r -t 1 line <&3 && [[ $line == INFO* ]]`;
    await until(`nats-server answers in ${this.name}`, async () => {
      return (await this.run(greeted, { check: false })).code === 0;
    });
    return `nats://127.0.0.1:${port}`;
  }

  /** What the kernel and systemd said. */
  console(): string {
    return existsSync(this.consoleFile) ? readFileSync(this.consoleFile, "utf8") : "";
  }

  // --- files

  /** Installs a .deb of slotd before the boot: its files, and the group that its installation makes. */
  async install(deb: string): Promise<void> {
    if (this.kernel) throw new Error("the layer of /usr is in use");
    const script = `set -eo pipefail
      dpkg-deb --fsys-tarfile "$1" | tar -x --overwrite-dir -C "$2" ./usr
      systemd-sysusers --root="$2/root" - <"$2/usr/lib/sysusers.d/slotd.conf"`;
    await promisify(execFile)("/bin/bash", ["-c", script, "install", deb, this.directory]);
  }

  /** Writes a file that lies in the root directory: not in /usr, /tmp or /run. Not one that is open inside. */
  write(path: string, text: string, mode = 0o644): void {
    if (/^\/(usr|bin|sbin|lib|lib64|tmp|run|dev|proc|sys|srv\/share)\//.test(path))
      throw new Error(`${path} is not in the root directory of ${this.name}: use run(), or share`);
    const target = join(this.tree.root, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text, { mode });
  }

  private get consoleFile(): string {
    return join(this.directory, "console.log");
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Removes what is left where even the guard of a machine was killed. */
function sweep(): void {
  for (const entry of readdirSync(MACHINES)) {
    const pid = new RegExp(`^${NAME}-(\\d+)-`).exec(basename(entry))?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    try {
      rmSync(join(MACHINES, entry), { recursive: true, force: true });
    } catch {
      // Someone else is at it.
    }
  }
}
