import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ProcessIdentity } from "../../../agent/os/process.ts";
import { pidsWithEnvironment } from "../../../test/support/agent/host.ts";
import { freePorts } from "../../../test/support/ports.ts";
import { repository } from "../../../test/support/release.ts";
import { until } from "../../../test/support/until.ts";
import { appFile, untilAnswers } from "./app.ts";
import { childrenOf, identifyAll, killAll, readIfThere, temporaryDirectory } from "./processes.ts";
import type { Run } from "./run.ts";

const execute = promisify(execFile);

/** Where scripts/bench puts PM2; it is no dependency of the project. */
const PACKAGE = join(repository, ".cache/bench/pm2/node_modules/pm2");
const NAME = "bench";

export interface Pm2Options {
  instances: number;
  /**
   * `cluster`: all on one port, through the daemon. `fork`: a single one on one port, several each on whichever is
   * free.
   */
  mode: "cluster" | "fork";
}

export function pm2Version(): string {
  return (JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8")) as { version: string }).version;
}

/**
 * A PM2 daemon of our own with the benchmarks' app in it. It lives in a directory of its own, and ends with the run.
 */
export class Pm2 {
  private constructor(
    private readonly home: string,
    readonly port: number,
    readonly instances: number,
  ) {}

  static async start(run: Run, { instances, mode }: Pm2Options): Promise<Pm2> {
    const onePort = mode === "cluster" || instances === 1;
    const [port] = onePort ? ((await freePorts(1)) as [number]) : [0];
    const home = temporaryDirectory(run, "pm2");
    const pm2 = new Pm2(home, port, instances);
    run.own(() => pm2.end());
    const app = {
      name: NAME,
      script: appFile,
      instances,
      exec_mode: mode,
      env: { PORT: port, COUNTS_DIRECTORY: home },
    };
    const file = join(home, "bench.config.cjs");
    writeFileSync(file, `module.exports = { apps: [${JSON.stringify(app)}] };\n`);
    await pm2.command("start", file);
    if (onePort) await untilAnswers(port);
    await until("all PM2 workers run", () => pm2.pids().length === instances);
    return pm2;
  }

  /** Where the workers write their counts. */
  get counts(): string {
    return this.home;
  }

  get daemonPid(): number {
    return Number(readIfThere(join(this.home, "pm2.pid")) ?? 0);
  }

  /** The workers: the daemon starts them itself. */
  pids(): number[] {
    return childrenOf(this.daemonPid).map(({ pid }) => pid);
  }

  /** Replaces the workers one after the other; resolves when PM2 says that it has. */
  async reload(): Promise<void> {
    await this.command("reload", NAME);
  }

  /** Writes down what runs, for `resurrect`. */
  async save(): Promise<void> {
    await this.command("save");
  }

  /** Kills the daemon, and not its workers. */
  async killDaemon(): Promise<void> {
    const daemon = this.processes().find(({ pid }) => pid === this.daemonPid);
    if (!daemon) throw new Error("PM2's daemon does not run");
    await killAll([daemon]);
  }

  /** Starts the daemon again, with what was saved. */
  async resurrect(): Promise<void> {
    await this.command("resurrect");
  }

  async end(): Promise<void> {
    await this.command("kill").catch(() => {});
    // Workers that a killed daemon left are unknown to the next one.
    await until("nothing of PM2 is left", async () => {
      const left = this.processes();
      await killAll(left);
      return left.length === 0;
    });
  }

  /** All that carry this PM2's directory in their environment: commands, the daemon, workers. */
  private processes(): ProcessIdentity[] {
    return identifyAll(pidsWithEnvironment(this.home));
  }

  private async command(...args: string[]): Promise<void> {
    // Nothing of a PM2 that this may run under.
    const inherited = Object.entries(process.env).filter(([name]) => !/^(PM2|pm_|NODE_APP_INSTANCE)/.test(name));
    await execute(process.execPath, [join(PACKAGE, "bin/pm2"), "--silent", ...args], {
      env: { ...Object.fromEntries(inherited), PM2_HOME: this.home },
      timeout: 180_000,
    });
  }
}
