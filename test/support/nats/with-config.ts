import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ConfiguredNats {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * A real nats-server with a configuration of its own: users, no JetStream, … `$STORE` in it becomes a directory that
 * `stop` removes.
 */
export async function startNatsWith(
  port: number,
  configuration: string,
  address = "127.0.0.1",
): Promise<ConfiguredNats> {
  const directory = mkdtempSync(join(tmpdir(), "slotd-nats-"));
  const file = join(directory, "nats.conf");
  writeFileSync(file, configuration.replaceAll("$STORE", join(directory, "store")));
  const server = spawn("nats-server", ["-c", file, "-a", address, "-p", String(port)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(server, "exit");
  const stop = async () => {
    server.kill("SIGKILL");
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  let log = "";
  try {
    await new Promise<void>((resolve, reject) => {
      server.stderr.setEncoding("utf8").on("data", (text: string) => {
        log += text;
        if (log.includes("Server is ready")) resolve();
      });
      ended.then(() => reject(new Error(`nats-server was not ready:\n${log}`)), reject);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `nats://${address}:${port}`, stop };
}
