import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseConfig } from "../../../agent/config/load.ts";
import type { RunConfig } from "../../../agent/config/release-config.ts";
import { Listener } from "../../../agent/os/listener.ts";
import { listeningVariables } from "../../../agent/workers/process/listening.ts";
import { freePorts } from "../../support/ports.ts";
import { PATIENCE_MS, until } from "../../support/until.ts";

const timeout = 2 * PATIENCE_MS;
/** An address of its own: an app that opened the port itself would listen on all of them. */
const HOST = "127.86.0.1";
const config = (more = "") =>
  parseConfig(`service = "web"\n[app]\nlisten = "node"\ncommand = ["node"]\n${more}`) as RunConfig;

interface Started {
  app: ChildProcess;
  output(): string;
}

describe("a Node app that knows PORT alone", { timeout }, () => {
  let directory: string;
  const ports = { slot: 0, live: 0 };
  let sockets: Listener[];
  const apps: ChildProcess[] = [];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "slotd-node-listen-"));
    [ports.slot, ports.live] = (await freePorts(2, HOST)) as [number, number];
    sockets = [Listener.open(HOST, ports.slot), Listener.open(HOST, ports.live)];
  });
  after(() => {
    for (const app of apps) if (app.exitCode === null && app.pid) tryKill(-app.pid);
    for (const socket of sockets) socket.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = (command: string[], more = ""): Started => {
    const spec = { config: config(more), port: ports.slot };
    const descriptors = sockets.map(({ fd }, i) => ({ name: i === 0 ? "http" : "liveness", fd }));
    const env = { ...process.env, PORT: String(ports.slot), NODE_TEST_CONTEXT: undefined };
    const app = spawn(command[0] as string, command.slice(1), {
      cwd: directory,
      env: { ...env, ...listeningVariables(spec, { NODE_OPTIONS: "--no-warnings" }, descriptors) },
      stdio: ["ignore", "pipe", "pipe", ...descriptors.map(({ fd }) => fd)],
      detached: true,
    });
    apps.push(app);
    let output = "";
    for (const stream of [app.stdout, app.stderr]) stream?.on("data", (text) => (output += text));
    return { app, output: () => output };
  };
  const startSource = (source: string, name = "app.mjs", more = "") => {
    writeFileSync(join(directory, name), source);
    return start([process.execPath, name], more);
  };
  const end = async ({ app }: Started, signal: NodeJS.Signals = "SIGKILL") => {
    if (app.exitCode !== null || app.signalCode !== null) return app.exitCode;
    const ended = once(app, "exit");
    tryKill(-(app.pid as number), signal);
    const [code] = await ended;
    return code as number | null;
  };
  const get = async (port = ports.slot) => (await fetch(`http://${HOST}:${port}/`)).text();
  const answers = (started: Started, text: string) =>
    until(`the app answers ${text}`, async () => {
      assert.equal(started.app.exitCode, null, started.output());
      // A connection that nobody accepts waits: asked once, answered when somebody does.
      return (await get()) === text;
    });

  const HTTP = `const server = http.createServer((request, response) => response.end("hello"));`;
  const apps_: Record<string, string> = {
    "an ES module": `import http from "node:http"; ${HTTP} server.listen(process.env.PORT, () => console.log("up"));`,
    "an object with a host": `import http from "node:http"; ${HTTP}
      server.listen({ port: Number(process.env.PORT), host: "0.0.0.0" });`,
    "a worker thread": `import http from "node:http"; import { Worker, isMainThread } from "node:worker_threads";
      import { fileURLToPath } from "node:url";
      if (isMainThread) new Worker(fileURLToPath(import.meta.url));
      else { ${HTTP} server.listen(process.env.PORT); }`,
    "a child that is forked": `import http from "node:http"; import { fork } from "node:child_process";
      import { fileURLToPath } from "node:url";
      if (process.argv[2] === undefined) fork(fileURLToPath(import.meta.url), ["child"]);
      else { ${HTTP} server.listen(process.env.PORT); }`,
    "a cluster": `import http from "node:http"; import cluster from "node:cluster";
      if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }
      else { ${HTTP} server.listen(process.env.PORT); }`,
    "a server that tries whether the port is free first": `import http from "node:http"; import net from "node:net";
      const probe = net.createServer();
      probe.listen(process.env.PORT, () => {
        if (probe.address().port !== Number(process.env.PORT)) process.exit(9);
        probe.close(() => { ${HTTP} server.listen(process.env.PORT); });
      });`,
  };
  for (const [what, source] of Object.entries(apps_)) {
    it(`gets the slot's socket: ${what}`, async () => {
      const started = startSource(source);
      await answers(started, "hello");
      await end(started);
    });
  }

  it("gets the slot's socket through npm and a shell", async () => {
    writeFileSync(
      join(directory, "server.cjs"),
      `const http = require("node:http"); ${HTTP} server.listen(process.env.PORT);`,
    );
    const scripts = { start: "FLAG=1 npm run serve", serve: "sh -c 'cd . && node server.cjs'" };
    writeFileSync(join(directory, "package.json"), JSON.stringify({ name: "app", version: "1.0.0", scripts }));
    const started = start(["npm", "start"]);
    await answers(started, "hello");
    assert.doesNotMatch(started.output(), /slotd:/);
    await end(started);
  });

  it("leaves every other port, path and descriptor alone", async () => {
    const started = startSource(`import http from "node:http"; import net from "node:net";
      ${HTTP} server.listen(process.env.PORT);
      const other = http.createServer((request, response) => response.end("other"));
      other.listen(0, "${HOST}", () => console.log("port=" + other.address().port));
      const path = net.createServer(); path.listen("./app.sock", () => console.log("path"));`);
    await answers(started, "hello");
    await until("the others listen", () => /path/.test(started.output()) && /port=/.test(started.output()));
    const port = Number(/port=(\d+)/.exec(started.output())?.[1]);
    assert.notEqual(port, ports.slot);
    assert.equal(await get(port), "other");
    await end(started);
  });

  it("is refused a second server on the port, as without slotd", async () => {
    const started = startSource(`import http from "node:http"; ${HTTP}
      server.listen(process.env.PORT, () => {
        const second = http.createServer();
        second.once("error", (error) => console.log("second:", error.code));
        second.listen(process.env.PORT, "${HOST}");
      });`);
    await answers(started, "hello");
    await until("the second was refused", () => /second: EADDRINUSE/.test(started.output()));
    await end(started);
  });

  it("says who closed the socket on its way", async () => {
    writeFileSync(
      join(directory, "server.cjs"),
      `const http = require("node:http"); ${HTTP} server.listen(process.env.PORT, "${HOST}");`,
    );
    const started = start(["sh", "-c", `exec 3<&-; exec ${process.execPath} server.cjs`]);
    await once(started.app, "close");
    assert.match(started.output(), /slotd: descriptor 3, the slot's socket, was closed/);
    assert.match(started.output(), /EADDRINUSE/);
  });

  it("answers its own liveness probes, and keeps the app's NODE_OPTIONS", async () => {
    const started = startSource(`import http from "node:http";
      const server = http.createServer((request, response) => response.end(process.env.NODE_OPTIONS));
      server.listen(process.env.PORT);`);
    await until("it answers", () => get());
    assert.match(await get(ports.live), /node-listen\.cjs" --no-warnings$/);
    await end(started);
  });

  it("serves HTTPS and HTTP/2", async () => {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem"];
    const certificate = ["-x509", "-days", "2", "-subj", "/CN=app", "-out", "cert.pem"];
    execFileSync("openssl", ["req", ...key, ...certificate], { cwd: directory, stdio: "pipe" });
    const started = startSource(`import http2 from "node:http2"; import fs from "node:fs";
      const server = http2.createSecureServer(
        { allowHTTP1: true, key: fs.readFileSync("key.pem"), cert: fs.readFileSync("cert.pem") },
        (request, response) => response.end("secure " + request.httpVersion));
      server.listen(process.env.PORT);`);
    const target = { host: HOST, port: ports.slot, rejectUnauthorized: false };
    const over1 = await new Promise<string>((resolve, reject) => {
      const call = httpsRequest({ ...target, agent: false }, (response) => {
        response.once("data", (text: Buffer) => resolve(String(text)));
      });
      call.once("error", reject).end();
    });
    assert.equal(over1, "secure 1.1");
    const session = connectHttp2(`https://${HOST}:${ports.slot}`, { rejectUnauthorized: false });
    const stream = session.request({ ":path": "/" });
    const [text] = await once(stream, "data");
    assert.equal(String(text), "secure 2.0");
    const ended = once(session, "close");
    assert.equal(await end(started, "SIGTERM"), 0, "the session was closed, and the app ended by itself");
    await ended;
  });

  it("finishes requests and kept connections at the stop signal where the app does nothing itself", async () => {
    const started = startSource(`import http from "node:http";
      const server = http.createServer((request, response) => {
        if (request.url === "/slow") setTimeout(() => response.end("slow"), 1500);
        else response.end("hello");
      });
      server.listen(process.env.PORT);`);
    await answers(started, "hello");
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const over = (path: string, by: Agent) =>
      new Promise<{ text: string; connection: string | undefined }>((resolve, reject) => {
        const call = httpRequest({ host: HOST, port: ports.slot, path, agent: by }, (response) => {
          let text = "";
          response.on("data", (part) => (text += part));
          response.once("end", () => resolve({ text, connection: response.headers.connection }));
        });
        call.once("error", reject).end();
      });
    const kept = await over("/", agent);
    assert.equal(kept.connection, "keep-alive");
    const slow = over("/slow", new Agent({ keepAlive: true }));
    await until("the slow request has arrived", async () => (await over("/", agent)).text === "hello");
    const ended = end(started, "SIGTERM");
    // The kept connection is not closed under a request: the next response says that it is the last one.
    const last = await until("the app has heard the signal", async () => {
      const answer = await over("/", agent);
      return answer.connection === "close" ? answer : null;
    });
    assert.equal(last.text, "hello");
    assert.equal((await slow).text, "slow");
    assert.equal(await ended, 0);
  });

  it("is left to its own handling of the stop signal", async () => {
    const started = startSource(
      `import http from "node:http"; ${HTTP} server.listen(process.env.PORT);
      process.on("SIGQUIT", () => process.exit(7));`,
      "app.mjs",
      'stop_signal = "SIGQUIT"',
    );
    await answers(started, "hello");
    assert.equal(await end(started, "SIGQUIT"), 7);
  });
});

function tryKill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
