import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { until } from "../../../../test/support/until.ts";

const GRACE_MS = 10_000;

/** One process of the example app, with a port of its own. */
export class RollingWorker {
  private child: ChildProcess | undefined;

  constructor(
    readonly address: string,
    readonly port: number,
    private readonly logFile: string,
  ) {}

  /** Starts a version, from its directory. */
  async start(directory: string): Promise<void> {
    const log = openSync(this.logFile, "a");
    try {
      this.child = spawn(process.execPath, ["server.mjs"], {
        cwd: directory,
        stdio: ["ignore", log, log],
        env: { ...process.env, HOST: this.address, PORT: String(this.port), LISTEN_FDS: undefined },
      });
    } finally {
      closeSync(log);
    }
    await once(this.child, "spawn");
  }

  /** Waits until it answers as its health check wants. */
  async untilReady(): Promise<void> {
    const url = `http://${this.address}:${this.port}/healthz`;
    const ready = async () => (await fetch(url, { headers: { connection: "close" } })).ok;
    await until(`${url} is good`, ready);
  }

  /** SIGTERM, and its end; what does not end in time is killed. Also where it has ended. */
  async stop(): Promise<void> {
    const { child } = this;
    if (!child || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const insist = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
    await exited;
    clearTimeout(insist);
  }
}
