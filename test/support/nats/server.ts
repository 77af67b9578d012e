import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATIENCE_MS } from "../until.ts";

/** A real nats-server with JetStream on 127.0.0.1, for one test or one file of tests. */
export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends the server and removes its store. */
  stop(): Promise<void>;
  /** SIGKILL. The store stays, so `restart` finds what was on disk. */
  kill(): Promise<void>;
  /** Ends the server if it still runs, and starts it on the same port with the same store. */
  restart(): Promise<void>;
}

const PORT_TAKEN = /address already in use/;

/** Started by util-linux's setpriv where it exists, so that a killed test process takes its server along. */
const SETPRIV = "/usr/bin/setpriv";

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

class PortTaken extends Error {}

/**
 * Starts a nats-server. Without `port` it takes a free one; without `storeDir` it keeps its store in a directory that
 * `stop` removes.
 */
export async function startNats(opts: { port?: number; storeDir?: string } = {}): Promise<NatsServer> {
  const storeDir = opts.storeDir ?? (await mkdtemp(join(tmpdir(), "slotd-nats-")));
  const discard = async () => {
    if (opts.storeDir === undefined) await rm(storeDir, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    let { child, port } = await startSomewhere(opts.port, storeDir);
    return {
      url: `nats://127.0.0.1:${port}`,
      port,
      get pid() {
        return child.pid as number;
      },
      async stop() {
        await end(child, "SIGTERM");
        await discard();
      },
      kill: () => end(child, "SIGKILL"),
      async restart() {
        await end(child, "SIGTERM");
        child = await startOnItsPort(port, storeDir);
      },
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

async function startSomewhere(wanted: number | undefined, storeDir: string) {
  if (wanted !== undefined) return { port: wanted, child: await launch(wanted, storeDir) };
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return { port, child: await launch(port, storeDir) };
    } catch (error) {
      if (!(error instanceof PortTaken) || attempt === 10) throw error;
    }
  }
}

/** On the port that the server had: someone's outgoing connection may hold it for a moment. */
async function startOnItsPort(port: number, storeDir: string): Promise<ChildProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(port, storeDir);
    } catch (error) {
      if (!(error instanceof PortTaken) || attempt === 20) throw error;
    }
  }
}

async function launch(port: number, storeDir: string): Promise<ChildProcess> {
  const server = ["nats-server", "-js", "-sd", storeDir, "-a", "127.0.0.1", "-p", String(port)];
  const [command = "", ...args] = existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "KILL", "--", ...server] : server;
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  try {
    await untilReady(child, port);
    return child;
  } catch (error) {
    running.delete(child);
    await end(child, "SIGKILL");
    throw error;
  }
}

function untilReady(child: ChildProcess, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = "";
    let seen = false;
    const timer = setTimeout(() => reject(failure("was not ready in time")), PATIENCE_MS);
    const failure = (why: string) =>
      PORT_TAKEN.test(log)
        ? new PortTaken(`port ${port} is taken`)
        : new Error(`nats-server on port ${port} ${why}${log ? `:\n${log}` : ""}`);
    const settle = (error?: Error) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve();
    };
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (!seen) log += text;
      if (!seen && log.includes("Server is ready")) {
        seen = true;
        greet(port).then(() => settle(), settle);
      }
    });
    child.once("error", (error: NodeJS.ErrnoException) =>
      settle(error.code === "ENOENT" ? missing() : failure(`could not be started (${error.message})`)),
    );
    // setpriv answers 127 where it does not find the program.
    child.once("close", (code) => settle(code === 127 ? missing() : failure(`ended with ${code} before it was ready`)));
  });
}

function missing(): Error {
  return new Error("nats-server is not installed: run `apt-get install nats-server`");
}

/** Connects and reads the INFO line that a server which takes clients sends first. */
function greet(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`nats-server on port ${port} closed the connection`)));
    socket.once("data", (bytes) => {
      socket.destroy();
      if (bytes.toString("latin1").startsWith("INFO ")) resolve();
      else reject(new Error(`what answers on port ${port} is not a nats-server`));
    });
  });
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const insist = setTimeout(() => child.kill("SIGKILL"), 5000);
  await exited;
  clearTimeout(insist);
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
