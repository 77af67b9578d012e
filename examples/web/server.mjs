import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { finished, pipeline, Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const DIRECTORY = fileURLToPath(new URL(".", import.meta.url));
const MAX_SLOW_MS = 60_000;
const MAX_EVENTS = 10_000;
const MAX_DOWNLOAD_BYTES = 1024 ** 3;
const SILENT_GRACE_MS = 1000;
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css" };
const QUOTES = [
  "A release is a file that nobody changes again.",
  "Leave the door open until the last guest has gone.",
  "Two slots, one port each, no surprises.",
  "Measure the drain; do not guess it.",
];

const version = readVersion();
const worker = Number(process.env.SLOTD_WORKER ?? process.env.NODE_APP_INSTANCE ?? 0);
// Every file is read once, at the start, so that a request never gets a file of another release.
const files = readFiles(join(DIRECTORY, "public"));
const inFlight = new Set();
const sockets = new Set();
let stopping = false;
let quotes = 0;

const routes = {
  "/": { GET: (_req, res) => sendFile(res, "/index.html", "no-cache") },
  "/healthz": { GET: (_req, res) => sendJson(res, stopping ? 503 : 200, { ok: !stopping, version }) },
  "/api/quote": { GET: quote },
  "/api/echo": { POST: countBody },
  "/upload": { POST: countBody, PUT: countBody },
  "/slow": { GET: slow },
  "/stream": { GET: stream },
  "/download": { GET: download },
};

const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0 }, (req, res) => {
  inFlight.add(res);
  res.once("close", () => {
    inFlight.delete(res);
    // Close a keep-alive connection whose response began before the stop.
    if (stopping) setImmediate(() => server.closeIdleConnections());
  });
  res.setHeader("x-app-version", version);
  if (stopping) res.setHeader("connection", "close");
  try {
    answer(req, res);
  } catch (error) {
    sendJson(res, error instanceof RangeError ? 400 : 500, { error: error.message });
  }
});
server.on("connection", (socket) => {
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
});
server.on("clientError", (_error, socket) => {
  if (!socket.writable) return socket.destroy();
  socket.end(`HTTP/1.1 400 Bad Request\r\nx-app-version: ${version}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
});
server.on("error", (error) => {
  console.error(`web ${version} can't listen: ${error.message}`);
  process.exit(1);
});
server.on("listening", () => {
  const at = server.address();
  const where = at && typeof at === "object" ? `${at.address}:${at.port}` : String(at);
  console.log(`web ${version} worker ${worker} pid ${process.pid} listening on ${where}`);
});
process.on("SIGTERM", stop);
listen();

/** Listens on the socket that a supervisor opened for this process (systemd's protocol: fd 3), else on PORT. */
function listen() {
  const { LISTEN_FDS, LISTEN_PID, PORT, HOST } = process.env;
  if (Number(LISTEN_FDS) >= 1 && LISTEN_PID === String(process.pid)) return server.listen({ fd: 3 });
  if (PORT !== undefined) return server.listen(Number(PORT), HOST ?? "127.0.0.1");
  console.error("web needs a socket: LISTEN_FDS and LISTEN_PID for this process, or PORT");
  process.exit(2);
}

/** Accepts no new connection, finishes the requests in flight, and exits with 0 once nothing is left to do. */
function stop() {
  if (stopping) return;
  stopping = true;
  for (const res of inFlight) if (!res.headersSent) res.setHeader("connection", "close");
  server.close();
  // Clients open connections ahead of need. One that never sends a byte must not keep the worker alive.
  setTimeout(() => {
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  }, SILENT_GRACE_MS).unref();
}

function answer(req, res) {
  const url = new URL(req.url, "http://web");
  if (url.pathname.startsWith("/assets/"))
    return sendFile(res, decode(url.pathname), "public, max-age=31536000, immutable");
  const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
  if (!route) return sendJson(res, 404, { error: `there is no ${url.pathname}` });
  const handler = route[req.method === "HEAD" ? "GET" : req.method];
  if (handler) return handler(req, res, url.searchParams);
  res.setHeader("allow", Object.keys(route).join(", "));
  sendJson(res, 405, { error: `${url.pathname} takes ${Object.keys(route).join(" or ")}` });
}

function quote(_req, res) {
  sendJson(res, 200, { version, worker, pid: process.pid, quote: QUOTES[quotes++ % QUOTES.length] });
}

function countBody(req, res) {
  let sizeBytes = 0;
  req.on("data", (chunk) => {
    sizeBytes += chunk.length;
  });
  req.on("end", () => sendJson(res, 200, { version, worker, sizeBytes }));
}

function slow(_req, res, query) {
  const ms = number(query, "ms", 1000, MAX_SLOW_MS);
  const timer = setTimeout(() => sendJson(res, 200, { version, worker, ms }), ms);
  res.once("close", () => clearTimeout(timer));
}

function stream(_req, res, query) {
  const n = number(query, "n", 10, MAX_EVENTS);
  const ms = number(query, "ms", 1000, MAX_SLOW_MS);
  res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  res.flushHeaders();
  let sent = 0;
  let timer;
  const next = () => {
    if (sent === n) return res.end();
    res.write(`id: ${sent}\ndata: ${JSON.stringify({ version, worker, event: sent })}\n\n`);
    sent++;
    timer = setTimeout(next, ms);
  };
  finished(res, () => clearTimeout(timer));
  next();
}

function download(_req, res, query) {
  const bytes = number(query, "bytes", 1024 * 1024, MAX_DOWNLOAD_BYTES);
  res.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes });
  pipeline(Readable.from(filler(bytes)), res, () => {});
}

function* filler(bytes) {
  const chunk = Buffer.alloc(64 * 1024, `${version}\n`);
  for (let left = bytes; left > 0; left -= chunk.length) yield left < chunk.length ? chunk.subarray(0, left) : chunk;
}

function sendJson(res, status, value) {
  if (res.headersSent || res.destroyed) return;
  const body = JSON.stringify(value);
  res.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  res.end(body);
}

function sendFile(res, path, cacheControl) {
  const file = files.get(path);
  if (!file) return sendJson(res, 404, { error: `version ${version} has no ${path}` });
  res.writeHead(200, { "content-type": file.type, "content-length": file.body.length, "cache-control": cacheControl });
  res.end(file.body);
}

function number(query, name, otherwise, most) {
  const value = query.has(name) ? Number(query.get(name)) : otherwise;
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new RangeError(`${name} must be a whole number from 0 to ${most}`);
  }
  return value;
}

function decode(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function readVersion() {
  try {
    return JSON.parse(readFileSync(join(DIRECTORY, "version.json"), "utf8")).version;
  } catch (error) {
    console.error(
      `this directory is not a built release (${error.message}): run \`node build.mjs VERSION OUTDIR\` first`,
    );
    return process.exit(2);
  }
}

function readFiles(root, under = "/") {
  const found = new Map();
  for (const entry of readdirSync(join(root, under), { withFileTypes: true })) {
    const path = under + entry.name;
    if (entry.isDirectory()) for (const [key, file] of readFiles(root, `${path}/`)) found.set(key, file);
    else
      found.set(path, {
        body: readFileSync(join(root, path)),
        type: TYPES[extname(path)] ?? "application/octet-stream",
      });
  }
  return found;
}
