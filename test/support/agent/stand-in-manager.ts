import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { repository } from "../release.ts";
import type { Host } from "./host.ts";

/** What is passed to the agent as if systemd had kept it, under a name. */
export interface Stored {
  name: string;
  /** `bound`: on a TCP port, but not listening. */
  kind: "listening" | "bound" | "udp" | "unix" | "file" | "pipe";
  /** Of the first three kinds. */
  address?: string;
  port?: number;
}

/** What the agent said: the lines of the message, and where the sockets listen that came with it. */
export interface Said {
  lines: string[];
  listening: string[];
}

/** In systemd's place: passes descriptors to the agents of one host, and hears what they say. */
export class StandInManager {
  readonly heard: Said[] = [];

  private constructor(
    private readonly host: Host,
    private readonly listener: ChildProcess,
  ) {}

  /** The `node` for a host's options: becomes the real one, with what `pass` said. */
  static readonly node = join(repository, "test/support/agent/stored-descriptors.py");

  static async start(host: Host): Promise<StandInManager> {
    const path = join(host.directory, "notify");
    const script = join(repository, "test/support/agent/notify-socket.py");
    const child = spawn("python3", [script, path], { stdio: ["ignore", "pipe", "inherit"] });
    const manager = new StandInManager(host, child);
    const lines = createInterface({ input: child.stdout });
    const [first] = (await Promise.race([once(lines, "line"), once(child, "exit")])) as [unknown];
    if (first !== "ready") throw new Error(`notify-socket.py ended with ${first}`);
    lines.on("line", (line) => {
      const { text, listening } = JSON.parse(line) as { text: string; listening: string[] };
      manager.heard.push({ lines: text.split("\n"), listening });
    });
    manager.pass([]);
    return manager;
  }

  /** What the next agent gets. */
  pass(descriptors: Stored[]): void {
    const whole = descriptors.map((stored) => ({ address: "127.0.0.1", port: 0, ...stored }));
    const plan = { program: process.execPath, notify: join(this.host.directory, "notify"), descriptors: whole };
    writeFileSync(join(this.host.directory, "stored.json"), JSON.stringify(plan));
  }

  /** What was asked for under a name, in order: `-` to let go, else where the socket listens that is to be kept. */
  asked(name: string): string[] {
    return this.heard.flatMap(({ lines, listening }) => {
      if (!lines.includes(`FDNAME=${name}`)) return [];
      return lines.includes("FDSTOREREMOVE=1") ? ["-"] : listening;
    });
  }

  async stop(): Promise<void> {
    if (this.listener.exitCode === null && this.listener.signalCode === null) {
      this.listener.kill("SIGKILL");
      await once(this.listener, "exit");
    }
    rmSync(join(this.host.directory, "notify"), { force: true });
  }
}
