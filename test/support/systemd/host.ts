import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { runId } from "../run.ts";
import { PATIENCE_MS, until } from "../until.ts";
import { cgroupsNamed, killTree } from "./cgroup.ts";
import { Machine } from "./machine.ts";
import { type HostTree, makeTree } from "./root.ts";

export interface SystemdHostOptions {
  /** More options of systemd-nspawn, for example `--bind-ro=/srv/fixtures`. */
  nspawn?: string[];
  /** Does this between making the root directory and the first boot. */
  prepare?: (host: SystemdHost) => void | Promise<void>;
}

export interface RunOptions {
  /** `PATIENCE_MS` by default. What takes longer is killed, and fails. */
  timeoutMs?: number;
  /** Standard input; none by default. */
  input?: string;
  /** Throws when the exit code is not 0; true by default. */
  check?: boolean;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  /** null if it was killed by a signal. */
  code: number | null;
}

const NAME = "slotd-sd";

const NAMESPACES = ["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"];
/** What a login would have: nothing of this process's environment gets inside. */
const ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8"];

let hosts = 0;

/**
 * Boots a real systemd as PID 1, and waits until it has started what it starts. `close()` is the caller's duty, also
 * after a failure; when the process itself is killed, its hosts end and are removed by themselves.
 */
export async function bootSystemd(options: SystemdHostOptions = {}): Promise<SystemdHost> {
  sweep();
  const host = new SystemdHost(`${NAME}-${process.pid}-${runId}-${++hosts}`, options.nspawn ?? []);
  try {
    await options.prepare?.(host);
    await host.boot();
    return host;
  } catch (error) {
    await host.close();
    throw error;
  }
}

/**
 * A host with a systemd of its own, as PID 1 of a systemd-nspawn container: own /etc, /var, /run, network and PIDs;
 * this machine's /usr and package database under a layer of its own, so that `dpkg -i` works and changes nothing out
 * here.
 */
export class SystemdHost {
  readonly directory: string;
  private readonly tree: HostTree;
  private machine: Machine | undefined;

  /** Only `bootSystemd` makes one. */
  constructor(
    readonly name: string,
    private readonly nspawn: string[],
  ) {
    this.directory = mkdtempSync(join(tmpdir(), `${name}-`));
    this.tree = makeTree(this.directory);
  }

  /**
   * `/` of the host as a path out here, without what is mounted into it (/usr, /tmp, /run). It stays from boot to boot.
   */
  get root(): string {
    return this.tree.root;
  }

  /** A directory that both sides see: /srv/share inside. */
  get share(): string {
    return this.tree.share;
  }

  /** PID 1 of the host as it is called out here; 0 while it is off. */
  get leader(): number {
    return this.machine?.running ? this.machine.leader : 0;
  }

  // --- power

  /** Starts it, again or for the first time, and waits until every unit that boots has come up or failed. */
  async boot(): Promise<void> {
    if (this.leader) throw new Error(`${this.name} is running`);
    appendFileSync(this.consoleFile, "--- boot\n");
    this.machine = await Machine.boot(this.name, this.tree, this.consoleFile, this.nspawn);
    let state = "";
    try {
      await until(
        "systemd has started everything",
        async () => {
          if (!this.leader) return true;
          state = (await this.run("systemctl is-system-running", { check: false })).stdout.trim();
          return ["running", "degraded"].includes(state);
        },
        { everyMs: 50 },
      );
      if (!this.leader) throw new Error("it ended while it was booting");
    } catch (error) {
      await this.machine.powerCut();
      throw new Error(`${this.name} did not boot (${state}):\n${this.console()}`, { cause: error });
    }
  }

  /** Shuts down in order. The directory stays: `boot()` again. */
  async stop(timeoutMs = PATIENCE_MS): Promise<void> {
    await this.machine?.powerOff(timeoutMs);
  }

  /** `systemctl reboot`, and waits until it is up again. */
  async reboot(timeoutMs = PATIENCE_MS): Promise<void> {
    await this.run("systemctl reboot", { check: false });
    await this.machine?.untilEnded(timeoutMs);
    await this.boot();
  }

  /** SIGKILL to everything at once. What was written stays, as with `stop`. */
  async powerCut(): Promise<void> {
    await this.machine?.powerCut();
  }

  /** Ends it if it runs, and removes all that there was of it. */
  async close(): Promise<void> {
    try {
      await this.machine?.powerCut();
    } finally {
      rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  // --- commands

  /** Runs a command inside, as root: a list as it is, a text by a shell. */
  async run(command: string | string[], options: RunOptions = {}): Promise<RunResult> {
    const { timeoutMs = PATIENCE_MS, input = "", check = true } = options;
    const child = this.spawn(command);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    // A command that does not read its input is no failure.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
      // What it started may hold the pipes for ever.
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, timeoutMs);
    const [code] = (await once(child, "close")) as [number | null];
    clearTimeout(timer);
    const shown = typeof command === "string" ? command : command.join(" ");
    if (late) throw new Error(`not in ${timeoutMs} ms: ${shown}\n${stdout}${stderr}`);
    if (check && code !== 0) throw new Error(`${shown} ended with ${code}:\n${stdout}${stderr}`);
    return { stdout, stderr, code };
  }

  /** Starts a command inside, with pipes. It ends with this process, with the returned one, and with the host. */
  spawn(command: string | string[]): ChildProcess {
    if (!this.leader) throw new Error(`${this.name} is not running`);
    const words = typeof command === "string" ? ["/bin/bash", "-c", command] : command;
    const inside = ["setpriv", "--pdeathsig", "KILL", "--", "env", "-i", ...ENVIRONMENT, ...words];
    const enter = ["nsenter", "-t", String(this.leader), ...NAMESPACES, "--", ...inside];
    return spawn("setpriv", ["--pdeathsig", "KILL", "--", ...enter], { stdio: ["pipe", "pipe", "pipe"] });
  }

  // --- units

  async startUnit(unit: string, timeoutMs = PATIENCE_MS): Promise<void> {
    const { code, stderr } = await this.run(["systemctl", "start", unit], { timeoutMs, check: false });
    if (code !== 0) throw new Error(`${unit} did not start: ${stderr}${await this.journal(unit)}`);
  }

  async restartUnit(unit: string, timeoutMs = PATIENCE_MS): Promise<void> {
    const { code, stderr } = await this.run(["systemctl", "restart", unit], { timeoutMs, check: false });
    if (code !== 0) throw new Error(`${unit} did not restart: ${stderr}${await this.journal(unit)}`);
  }

  async stopUnit(unit: string, timeoutMs = PATIENCE_MS): Promise<void> {
    await this.run(["systemctl", "stop", unit], { timeoutMs });
  }

  /** A property of a unit, as `systemctl show` tells it: `show(unit, "MainPID")`. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.run(["systemctl", "show", "--value", "--property", property, unit])).stdout.trim();
  }

  /** Waits for an ActiveState: `untilUnit(unit, "active")`. */
  async untilUnit(unit: string, state: string, timeoutMs = PATIENCE_MS): Promise<void> {
    try {
      await until(`${unit} is ${state}`, async () => (await this.show(unit, "ActiveState")) === state, { timeoutMs });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await this.journal(unit)}`, { cause: error });
    }
  }

  /**
   * Starts a nats-server with JetStream inside, as a unit that a reboot does not bring back. @returns its URL, for use
   * inside
   */
  async startNats(port = 4222): Promise<string> {
    const server = `nats-server -js -sd /var/lib/nats -a 127.0.0.1 -p ${port}`;
    await this.run(`command -v nats-server >/dev/null || { echo "run apt-get install nats-server" >&2; exit 127; }
      systemd-run --quiet --unit=nats --collect --property=Restart=always --property=RestartSec=50ms ${server}`);
    const greeted = `exec 3<>/dev/tcp/127.0.0.1/${port} && read -r -t 1 line <&3 && [[ $line == INFO* ]]`;
    await until(`nats-server answers in ${this.name}`, async () => {
      return (await this.run(greeted, { check: false })).code === 0;
    });
    return `nats://127.0.0.1:${port}`;
  }

  /** What a unit wrote, and what systemd says about it; every boot's. */
  async journal(unit: string): Promise<string> {
    return (await this.run(["journalctl", "--no-pager", "--quiet", "--output=short-precise", "--unit", unit])).stdout;
  }

  /** What systemd and systemd-nspawn said. */
  console(): string {
    return existsSync(this.consoleFile) ? readFileSync(this.consoleFile, "utf8") : "";
  }

  // --- files

  /** Copies a file or directory to a path inside that lies in the root directory: not in /usr, /tmp or /run. */
  copyIn(from: string, to: string): void {
    const target = this.outside(to);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(from, target, { recursive: true });
  }

  write(path: string, text: string, mode = 0o644): void {
    const target = this.outside(path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text, { mode });
  }

  read(path: string): string {
    return readFileSync(this.outside(path), "utf8");
  }

  private outside(path: string): string {
    if (/^\/(usr|bin|sbin|lib|lib64|tmp|run|dev|proc|sys)\//.test(path))
      throw new Error(`${path} is not in the root directory of ${this.name}: use run()`);
    return join(this.tree.root, path);
  }

  private get consoleFile(): string {
    return join(this.directory, "console.log");
  }
}

/** Removes what is left where even the guard of a host was killed. */
function sweep(): void {
  const left = (path: string) => {
    const pid = new RegExp(`^${NAME}-(\\d+)-`).exec(basename(path))?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  for (const group of cgroupsNamed(NAME).filter(left)) killTree(group);
  for (const entry of readdirSync(tmpdir()).filter(left))
    try {
      rmSync(join(tmpdir(), entry), { recursive: true, force: true });
    } catch {
      // Someone else is at it.
    }
}
