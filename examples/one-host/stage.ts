import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Host } from "../../test/support/agent/host.ts";
import { type NatsServer, startNats } from "../../test/support/nats/server.ts";
import { repository } from "../../test/support/release.ts";

const run = promisify(execFile);
const program = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const CONTROLLER = program("controller-stub/main.js");
const SLOTCTL = program("agent/cli/main.js");

/** A real nats-server, and one host with slotd on it. */
export class Stage {
  private constructor(
    readonly nats: NatsServer,
    readonly host: Host,
  ) {}

  static async set(): Promise<Stage> {
    const nats = await startNats();
    try {
      const settings = {
        app: { command: [process.execPath, "server.mjs"], workers: 4 },
        drain: { pause_ms: 500, quiet_ms: 500 },
        readiness: { hold_ms: 300 },
        logs: { level: "info" },
      };
      return new Stage(nats, await Host.start({ nats: nats.url, name: "web-1", settings }));
    } catch (error) {
      await nats.stop();
      throw error;
    }
  }

  /** Builds a version of the example app, and publishes it. @returns the controller's answer in a line */
  async publish(version: string): Promise<string> {
    const { archives } = this.host;
    await run(process.execPath, [join(repository, "examples/web/build.mjs"), version, archives]);
    const archive = join(archives, `web-${version}.tar.gz`);
    const said = await this.controller("publish", "web", version, archive);
    return said.split("\n").slice(0, 2).join(", ");
  }

  async install(version: string, slot: string): Promise<void> {
    await this.controller("install", "web", version, "--slot", slot, "--host", this.host.name, "--wait");
  }

  controllerCommand(...words: string[]): string[] {
    return [process.execPath, CONTROLLER, "--nats", this.nats.url, ...words];
  }

  slotctlCommand(...words: string[]): string[] {
    return [process.execPath, SLOTCTL, "--socket", this.host.socket, ...words];
  }

  async slotctl(...words: string[]): Promise<string> {
    return this.out(this.slotctlCommand(...words));
  }

  /** Ends everything, and leaves nothing behind. */
  async clear(): Promise<void> {
    await this.host.endAgent("SIGTERM");
    await this.host.close();
    await this.nats.stop();
  }

  private controller(...words: string[]): Promise<string> {
    return this.out(this.controllerCommand(...words));
  }

  private async out([command, ...words]: string[]): Promise<string> {
    const { stdout } = await run(command as string, words);
    return stdout.trimEnd();
  }
}
