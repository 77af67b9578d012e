import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { promisify } from "node:util";

const BUILD = resolve("examples/web/build.mjs");
const run = promisify(execFile);

let out: string;
let release: string;
const undo: (() => unknown)[] = [];

describe("examples/web", () => {
  before(async () => {
    out = await mkdtemp(join(tmpdir(), "slotd-web-"));
    release = (await build("1.0", out)).directory;
  });
  after(() => rm(out, { recursive: true, force: true }));
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  it("two builds of the same version are byte-identical, whatever the umask", async () => {
    const a = await build("2.0+x", join(out, "a"));
    const b = await build("2.0+x", join(out, "b"), "077");
    assert.equal(a.sha256, b.sha256);
    assert.deepEqual(await readFile(a.path), await readFile(b.path));
    assert.equal((await readFile(a.path)).length, a.sizeBytes);
  });

  it("two versions differ, and a version that could leave its directory is refused", async () => {
    assert.notEqual((await build("3.0", out)).sha256, (await build("3.1", out)).sha256);
    await assert.rejects(build("../3.0", out), { code: 2 });
  });

  it("workers started by the LISTEN_FDS protocol share an inherited socket", async () => {
    const listener = await listen();
    const first = await worker(listener, { SLOTD_WORKER: "0" });
    const second = await worker(listener, { SLOTD_WORKER: "1" });
    closeHere(listener);
    const pids = new Set<number>();
    while (pids.size < 2) pids.add((await get(listener.port, "/api/quote")).json().pid);
    assert.deepEqual(pids, new Set([first.pid, second.pid]));

    await stop(first);
    assert.equal((await get(listener.port, "/api/quote")).json().worker, 1);
  });

  it("a socket that is meant for another process is not used", async () => {
    const listener = await listen();
    const child = spawn(process.execPath, ["server.mjs"], {
      cwd: release,
      stdio: ["ignore", "pipe", "pipe", listener.fd],
      env: { ...process.env, LISTEN_FDS: "1", LISTEN_PID: "1", PORT: undefined },
    });
    owned(child);
    const [code] = await once(child, "exit");
    assert.equal(code, 2);
  });

  it("every answer names its version", async () => {
    const { port } = await served();
    for (const path of ["/", "/healthz", "/api/quote", "/nowhere", "/slow?ms=x", "/assets/0.9/app.js"]) {
      assert.equal((await get(port, path)).headers["x-app-version"], "1.0", path);
    }
    assert.equal((await get(port, "/slow?ms=60001")).statusCode, 400);
    assert.equal((await get(port, "/upload")).statusCode, 405);
  });

  it("the page names assets of its own version, which are there", async () => {
    const { port } = await served();
    const page = (await get(port, "/")).body.toString();
    const assets = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1] ?? "");
    assert.deepEqual(assets.sort(), ["/assets/1.0/app.js?v=1.0", "/assets/1.0/style.css?v=1.0"]);
    for (const asset of assets) assert.equal((await get(port, asset)).statusCode, 200);
    const app = (await get(port, "/assets/1.0/app.js?v=1.0")).body.toString();
    const client = /from "\.\/(version-client\.js\?v=1\.0)"/.exec(app)?.[1];
    assert.equal((await get(port, `/assets/1.0/${client}`)).statusCode, 200);
    assert.doesNotMatch(app, /\{\{/);
    assert.doesNotMatch(page, /\{\{/);
  });

  it("bodies are counted, downloads have their length, and events come one by one", async () => {
    const { port } = await served();
    const body = Buffer.alloc(300_000);
    for (const path of ["/api/echo", "/upload"]) {
      const answer = await get(port, path, { method: "POST" }, body);
      assert.deepEqual([answer.json().sizeBytes, answer.json().version], [body.length, "1.0"]);
    }
    assert.equal((await get(port, "/download?bytes=200001")).body.length, 200_001);
    assert.equal((await get(port, "/stream?n=3&ms=1")).body.toString().match(/^data:/gm)?.length, 3);
  });

  it("SIGTERM closes idle keep-alive connections, finishes a slow request, and exits with 0", async () => {
    const { port, child } = await served();
    const idle = await rawKeepAlive(port);
    const idleClosed = once(idle, "close");
    const slow = get(port, "/slow?ms=400", { agent: keepAlive() });
    await untilInFlight(port);
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    await idleClosed;
    child.kill("SIGTERM");
    const answer = await slow;
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.json().ms, 400);
    assert.equal(answer.headers.connection, "close");
    assert.deepEqual(await exited, [0, null]);
  });

  it("SIGTERM lets a stream that has begun finish, then closes its connection", async () => {
    const { port, child } = await served();
    const agent = keepAlive();
    const request = httpRequest({ host: "127.0.0.1", port, path: "/stream?n=20&ms=10", agent });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    let text = "";
    for await (const chunk of response) text += chunk;
    assert.equal(text.match(/^data:/gm)?.length, 20);
    assert.deepEqual(await exited, [0, null]);
  });

  it("a connection that never sends a byte does not keep a stopping worker alive", async () => {
    const { port, child } = await served();
    const silent = connect(port, "127.0.0.1");
    undo.push(() => silent.destroy());
    await once(silent, "connect");
    // Answered on a later connection, so the silent one is accepted by now.
    await get(port, "/healthz");
    assert.deepEqual(await stop(child), [0, null]);
  });
});

interface Built {
  directory: string;
  path: string;
  sha256: string;
  sizeBytes: number;
}

async function build(version: string, directory: string, umask = "022"): Promise<Built> {
  const command = `umask ${umask}; exec "$@"`;
  const { stdout } = await run("/bin/sh", ["-c", command, "sh", process.execPath, BUILD, version, directory, "--json"]);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

interface Listener {
  server: Server;
  port: number;
  fd: number;
}

/** A listening socket in this process, to be inherited. */
async function listen(): Promise<Listener> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  undo.push(() => server.close());
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  return { server, port: (server.address() as AddressInfo).port, fd };
}

/** From here on only the workers accept. */
function closeHere(listener: Listener): void {
  listener.server.close();
}

async function worker(listener: Listener, env: Record<string, string> = {}): Promise<ChildProcess> {
  const child = spawn("/bin/sh", ["-c", 'export LISTEN_PID=$$; exec "$@"', "sh", process.execPath, "server.mjs"], {
    cwd: release,
    stdio: ["ignore", "pipe", "inherit", listener.fd],
    env: { ...process.env, LISTEN_FDS: "1", PORT: undefined, ...env },
  });
  owned(child);
  await announced(child);
  return child;
}

/** One worker with a port of its own. */
async function served(): Promise<{ port: number; child: ChildProcess }> {
  const child = spawn(process.execPath, ["server.mjs"], {
    cwd: release,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PORT: "0", LISTEN_FDS: undefined },
  });
  owned(child);
  return { child, port: Number(/:(\d+)\n/.exec(await announced(child))?.[1]) };
}

async function announced(child: ChildProcess): Promise<string> {
  const [line] = await once(child.stdout as NonNullable<typeof child.stdout>, "data");
  assert.match(String(line), /listening on/);
  return String(line);
}

function owned(child: ChildProcess): void {
  undo.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  });
}

async function stop(child: ChildProcess): Promise<unknown[]> {
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  return exited;
}

function keepAlive(): Agent {
  const agent = new Agent({ keepAlive: true });
  undo.push(() => agent.destroy());
  return agent;
}

/** A connection on which one request was answered, and which stays open. */
async function rawKeepAlive(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  undo.push(() => socket.destroy());
  socket.write("GET /healthz HTTP/1.1\r\nhost: web\r\n\r\n");
  const [answer] = await once(socket, "data");
  assert.match(String(answer), /^HTTP\/1.1 200 /);
  return socket;
}

/** The worker answers in order of arrival: once a later request is answered, the earlier one was taken. */
async function untilInFlight(port: number): Promise<void> {
  await get(port, "/healthz");
}

interface Answer extends Pick<IncomingMessage, "statusCode" | "headers"> {
  body: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect in it
  json(): any;
}

async function get(port: number, path: string, options: RequestOptions = {}, body?: Buffer): Promise<Answer> {
  const request = httpRequest({ host: "127.0.0.1", port, path, agent: false, ...options });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const whole = Buffer.concat(chunks);
  const { statusCode, headers } = response;
  return { statusCode, headers, body: whole, json: () => JSON.parse(whole.toString()) };
}
