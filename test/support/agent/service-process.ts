import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { until } from "../until.ts";

/** Started by util-linux's setpriv where it exists, so that a killed test process takes its servers along. */
const SETPRIV = "/usr/bin/setpriv";

/** A server program in the foreground, until it is ended. */
export class ServiceProcess {
  private output = "";

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.hear(text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.hear(text));
  }

  /** @throws with what it said, where it ends before it accepts connections at every one of these addresses */
  static async start(command: readonly string[], listening: readonly NetConnectOpts[]): Promise<ServiceProcess> {
    const [program = "", ...args] = existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "KILL", "--", ...command] : command;
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    const service = new ServiceProcess(child);
    try {
      await once(child, "spawn");
      for (const at of listening)
        await until(`${command[0]} listens at ${JSON.stringify(at)}`, () => service.hasEnded || accepts(at));
      if (service.hasEnded) throw new Error(`${command[0]} ended`);
    } catch (error) {
      await service.end("SIGKILL");
      throw new Error(`${(error as Error).message}\n${service.output}`);
    }
    return service;
  }

  get pid(): number {
    return this.child.pid as number;
  }

  get said(): string {
    return this.output;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** @param patienceMs after which it is killed */
  async end(signal: "SIGTERM" | "SIGKILL", patienceMs = 5_000): Promise<void> {
    if (this.child.pid === undefined || this.hasEnded) return;
    const exited = once(this.child, "exit");
    this.child.kill(signal);
    const insist = setTimeout(() => this.child.kill("SIGKILL"), patienceMs);
    await exited;
    clearTimeout(insist);
  }

  private hear(text: string): void {
    this.output = (this.output + text).slice(-20_000);
  }
}

function accepts(at: NetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
