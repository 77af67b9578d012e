// Runs inside the app, not inside the agent: NODE_OPTIONS loads it into every Node process of a worker whose
// `app.listen` is "node". The app's first `listen` on the slot's port then takes the slot's socket, which the worker
// has inherited. Everything else behaves as if this file were not here. It has to run on Node 18 and later.
import childProcess = require("node:child_process");
import cluster = require("node:cluster");
import fs = require("node:fs");
import net = require("node:net");
import threads = require("node:worker_threads");

type Listen = (...args: unknown[]) => net.Server;
/** What a server has beyond net.Server, if it speaks HTTP. */
type AnyServer = net.Server & { closeIdleConnections?(): void };
/** What node:child_process hands to a child's handle. Not documented, and the same in all versions since 12. */
interface SpawnOptions {
  stdio?: string | unknown[];
  envPairs?: string[];
}

/** A connection on which no request came for this long after the stop signal is closed, in ms. */
const IDLE_MS = 1_000;
const CHECK_MS = 100;
/** As the agent opens the socket: a second listen(2) would shorten the queue for all workers. The kernel caps it. */
const BACKLOG = 4_096;

const { SLOTD_LISTEN_PORT, SLOTD_LISTEN_FD, SLOTD_LIVENESS_FD, SLOTD_STOP_SIGNAL } = process.env;
const stopSignal = SLOTD_STOP_SIGNAL as NodeJS.Signals;
const originalListen = net.Server.prototype.listen as Listen;
const isClusterWorker = (cluster as unknown as typeof cluster.default).isWorker;
const taken = takenFlag();

/** Whether a thread of this process has the socket. Threads share descriptors, so only one of them may take it. */
function takenFlag(): Int32Array {
  const key = "slotd.listen";
  const shared = threads.getEnvironmentData(key) as unknown;
  const flag = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(4));
  threads.setEnvironmentData(key, flag.buffer as unknown as threads.Serializable);
  return flag;
}

/** The port that a call of `listen` asks for; undefined where it asks for something else, such as a path. */
function portOf([first]: unknown[]): number | undefined {
  const asked = typeof first === "object" && first !== null ? (first as net.ListenOptions & { fd?: number }) : null;
  if (asked && (asked.path !== undefined || asked.fd !== undefined)) return undefined;
  const port = asked ? (asked.port as unknown) : first;
  const isPort = typeof port === "number" || (typeof port === "string" && /^\d+$/.test(port));
  return isPort ? Number(port) : undefined;
}

function isSocket(fd: number): boolean {
  try {
    return fs.fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

net.Server.prototype.listen = function (this: AnyServer, ...args: unknown[]) {
  // The primary of a cluster listens for its workers, and comes through here itself.
  if (portOf(args) !== Number(SLOTD_LISTEN_PORT) || isClusterWorker) return originalListen.apply(this, args);
  const callback = args.at(-1);
  if (typeof callback === "function") this.once("listening", callback as () => void);
  const isFree = Atomics.load(taken, 0) === 0;
  // A server that would ignore every connection only finds out whether the port is free.
  if (isFree && this.listenerCount("connection") === 0) return tryPort(this);
  // A second server on the port fails as it would without slotd: the address is in use.
  return (
    (isFree && takeSocket(this)) ||
    originalListen.apply(this, typeof callback === "function" ? args.slice(0, -1) : args)
  );
} as typeof net.Server.prototype.listen;

/** Lets a server that tries the slot's port believe that it got it. */
function tryPort(server: net.Server): net.Server {
  const address = () => ({ address: "127.0.0.1", family: "IPv4", port: Number(SLOTD_LISTEN_PORT) });
  server.address = address;
  server.once("close", () => {
    if (server.address === address) Reflect.deleteProperty(server, "address");
  });
  return originalListen.call(server, { port: 0, host: "127.0.0.1" });
}

/** Listens on the inherited socket; undefined where this process can't. */
function takeSocket(server: AnyServer): net.Server | undefined {
  const fd = Number(SLOTD_LISTEN_FD);
  if (!isSocket(fd)) {
    console.error(`slotd: descriptor ${fd}, the slot's socket, was closed by a program that started this one`);
    return undefined;
  }
  Atomics.store(taken, 0, 1);
  if (SLOTD_LIVENESS_FD !== undefined) listenForLiveness(server, Number(SLOTD_LIVENESS_FD));
  if (threads.isMainThread) endInPeace(server);
  return originalListen.call(server, { fd }, BACKLOG);
}

/** Answers the probes of this one worker on a socket of their own. */
function listenForLiveness(server: net.Server, fd: number): void {
  const live = net.createServer((socket) => {
    // The primary of a cluster hands its connections to others.
    if (server.listening) server.emit("connection", socket);
    else socket.destroy();
  });
  originalListen.call(live, { fd });
  live.unref();
  server.once("close", () => live.close());
}

/**
 * Finishes requests before the process ends, unless the app handles the stop signal itself. A kept connection closes
 * with the response to its next request, so that no client sends a request on a connection that is being closed.
 */
function endInPeace(server: AnyServer): void {
  const sessions = new Set<{ close(): void }>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  let ending = false;
  const onStop = () => {
    if (ending || process.listenerCount(stopSignal) > 1) return;
    ending = true;
    if (!server.listening) {
      process.off(stopSignal, onStop);
      process.kill(process.pid, stopSignal);
      return;
    }
    server.prependListener("request", (_request, response) => {
      if (response.stream === undefined) response.setHeader("connection", "close");
    });
    // http.Server.close would close idle connections now.
    net.Server.prototype.close.call(server, () => process.exit());
    for (const session of sessions) session.close();
    setTimeout(() => setInterval(() => server.closeIdleConnections?.(), CHECK_MS), IDLE_MS);
  };
  process.on(stopSignal, onStop);
}

const spawner = childProcess.ChildProcess.prototype as unknown as { spawn(options: SpawnOptions): unknown };
const originalSpawn = spawner.spawn;

// Node closes inherited descriptors in its children: `npm start` would lose the socket on its way to the app.
spawner.spawn = function (options) {
  if (Atomics.load(taken, 0) === 0 && Array.isArray(options.envPairs)) handDown(options as Required<SpawnOptions>);
  return originalSpawn.call(this, options);
};

function handDown(options: Required<SpawnOptions>): void {
  const { stdio = "pipe", envPairs } = options;
  const passed = Array.isArray(stdio) ? [...stdio] : [stdio, stdio, stdio];
  while (passed.length < 3) passed.push("pipe");
  for (const name of ["SLOTD_LISTEN_FD", "SLOTD_LIVENESS_FD"]) {
    const own = envPairs.findIndex((pair) => pair.startsWith(`${name}=`));
    const fd = Number(envPairs[own]?.slice(name.length + 1));
    if (own < 0 || !isSocket(fd)) continue;
    envPairs[own] = `${name}=${passed.length}`;
    passed.push(fd);
  }
  options.stdio = passed;
}
