// The app that every benchmark serves, whatever starts it: on the socket of LISTEN_FDS, or on PORT.
import { renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Server } from "node:net";
import { join } from "node:path";

// A connection is renewed now and then, as proxies do it. Else the luck of how a few connections fell on the workers at the start of a
// round would be what is measured.
const REQUESTS_PER_CONNECTION = 500;

const { LISTEN_FDS, LISTEN_PID, PORT, COUNTS_DIRECTORY, SLOTD_VERSION } = process.env;
const { KEEP_ALIVE_MS = "75000", MAX_CONNECTIONS } = process.env;
const version = SLOTD_VERSION ?? "none";
const hello = Buffer.from(JSON.stringify({ version, pid: process.pid, hello: "world" }));
const inFlight = new Set();
let served = 0;
let stopping = false;

const server = createServer({ keepAliveTimeout: Number(KEEP_ALIVE_MS) }, (request, response) => {
  inFlight.add(response);
  response.once("close", () => {
    inFlight.delete(response);
    if (stopping) setImmediate(() => server.closeIdleConnections());
  });
  if (stopping) response.setHeader("connection", "close");
  if (request.url === "/healthz") return send(response, hello);
  served++;
  if (request.method === "POST") return echo(request, response);
  if (request.url === "/") return send(response, hello);
  const { pathname, searchParams } = new URL(request.url, "http://app");
  const ms = Number(searchParams.get("ms"));
  if (pathname === "/slow") setTimeout(() => send(response, hello), ms);
  else if (pathname === "/stream") stream(response, ms);
  else response.writeHead(404).end();
});

function send(response, body) {
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": body.length,
    "x-app-version": version,
  });
  response.end(body);
}

function echo(request, response) {
  let sizeBytes = 0;
  request.on("data", (chunk) => {
    sizeBytes += chunk.length;
  });
  request.on("end", () => send(response, Buffer.from(JSON.stringify({ version, sizeBytes }))));
}

/** A line now and then, for that long. */
function stream(response, ms) {
  response.writeHead(200, { "content-type": "text/plain", "x-app-version": version });
  const line = () => response.write("still here\n");
  line();
  const every = setInterval(line, 20);
  const end = setTimeout(() => response.end(), ms);
  response.once("close", () => {
    clearInterval(every);
    clearTimeout(end);
  });
}

/** Takes no new connection, finishes what is in flight, and exits. PM2 sends SIGINT, slotd SIGTERM. */
function stop() {
  if (stopping) return;
  stopping = true;
  for (const response of inFlight) if (!response.headersSent) response.setHeader("connection", "close");
  // In a cluster's worker the channel to the daemon would keep the process alive.
  server.close(() => process.exit(0));
}
server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
process.on("SIGTERM", stop);
process.on("SIGINT", stop);

// Where there are to be more connections than one process may have open, it leaves the others to the other workers.
let connections = 0;
server.on("connection", () => {
  if (++connections === Number(MAX_CONNECTIONS)) Server.prototype.close.call(server);
});

// How many requests this process served, for whoever asks.
process.on("SIGUSR2", () => {
  if (!COUNTS_DIRECTORY) return;
  const file = join(COUNTS_DIRECTORY, String(process.pid));
  writeFileSync(`${file}.new`, String(served));
  renameSync(`${file}.new`, file);
});

if (Number(LISTEN_FDS) >= 1 && LISTEN_PID === String(process.pid)) server.listen({ fd: 3 });
else server.listen(Number(PORT), "127.0.0.1");
