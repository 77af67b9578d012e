import { spawn } from "node:child_process";
import { once } from "node:events";
import type { TestContext } from "node:test";

/** A real nats-server without JetStream on a free port, for one test. */
export async function startPlainNats(t: TestContext, ...args: string[]): Promise<number> {
  const server = spawn("nats-server", ["-a", "127.0.0.1", "-p", "-1", ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(server, "close");
  t.after(async () => {
    server.kill("SIGKILL");
    await ended;
  });
  // Keep reading: a server whose log is closed dies of SIGPIPE.
  let log = "";
  return new Promise((resolve, reject) => {
    server.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      const port = /client connections on 127\.0\.0\.1:(\d+)/.exec(log)?.[1];
      if (port && log.includes("Server is ready")) resolve(Number(port));
    });
    ended.then(() => reject(new Error(`nats-server was not ready:\n${log}`)), reject);
  });
}
