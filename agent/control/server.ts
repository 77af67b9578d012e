import { once } from "node:events";
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { Logger } from "pino";
import {
  AgentRunningError,
  ConfigInvalidError,
  OrderMalformedError,
  type SlotdError,
  toSlotdError,
} from "../../protocol/errors.ts";
import type { Event } from "../../protocol/event.ts";
import type { Config } from "../config/schema.ts";
import { peerUid } from "../os/peer.ts";
import { type Api, requireWholeNumber } from "./api.ts";

const MAX_BODY = 64 * 1024;
const MAX_READ = 16 * 1024 ** 2;
const DEFAULT_EVENTS = 100;
const MAX_EVENTS = 10_000;
/** Bytes of new events that a follower may leave unread. */
const MAX_UNREAD = 4 * 1024 ** 2;
const MAX_CONNECTIONS = 256;

/**
 * HTTP+JSON on a unix socket: what `slotctl` talks to. Reaching it is the authorization, so that its mode is what
 * protects it.
 */
export class ControlServer {
  private readonly server: Server;

  constructor(
    private readonly config: Config["control"],
    private readonly api: Api,
    private readonly log: Logger,
  ) {
    this.server = createServer((request, response) => void this.handle(request, response));
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  /**
   * @throws AgentRunningError where another agent answers there, ConfigInvalidError where socket or group can't be
   * used.
   */
  async listen(): Promise<void> {
    const { socket } = this.config;
    const group = this.config.group === undefined ? undefined : groupId(this.config.group);
    makePlace(socket);
    if (await answers(socket)) throw new AgentRunningError(socket);
    rmSync(socket, { force: true });
    // Only its owner may use it until it has the right group.
    const umask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.server.once("error", reject);
        this.server.listen(socket, resolve);
      });
    } finally {
      process.umask(umask);
    }
    if (group !== undefined) chownSync(socket, -1, group);
    chmodSync(socket, 0o660);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    rmSync(this.config.socket, { force: true });
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.route(request, urlOf(request), response);
      if (answer !== undefined) send(response, 200, answer);
    } catch (error) {
      const known = toSlotdError(error);
      if (known.code === "INTERNAL") this.log.error({ err: error, url: request.url }, "request failed");
      if (response.headersSent) return void response.destroy();
      send(response, statusOf(known), { error: known.toWire() });
    }
  }

  private async route(request: IncomingMessage, url: URL, response: ServerResponse): Promise<unknown> {
    const { api } = this;
    const [, version, noun, slot, verb] = url.pathname.split("/");
    if (version !== "v1") throw new OrderMalformedError("path", "must begin with /v1/");
    if (request.method === "POST" && noun === "slots" && slot !== undefined) {
      const caller = { uid: peerUid(request.socket) };
      const body = await readJson(request);
      if (verb === "drain") return api.drain(slot, body, caller);
      if (verb === "undrain") return api.undrain(slot, body, caller);
      if (verb === "restart") return api.restart(slot, body, caller);
    }
    if (noun === "releases") return this.releases(request, slot, verb, response);
    if (request.method === "GET" && slot === undefined) {
      if (noun === "status") return api.status();
      if (noun === "workers") return api.workers();
      if (noun === "events") return this.events(url.searchParams, response);
      if (noun === "logs") return this.logs(url.searchParams, response);
    }
    throw new OrderMalformedError("path", `${request.method} ${url.pathname} is not known; see docs/cli.md`);
  }

  private releases(
    request: IncomingMessage,
    version: string | undefined,
    verb: string | undefined,
    response: ServerResponse,
  ) {
    const { inventory } = this.api.agent.releases;
    const gone = new AbortController();
    response.once("close", () => gone.abort(new Error("the client is gone")));
    if (request.method === "GET" && version === undefined) return inventory.list(gone.signal);
    if (request.method === "POST" && version !== undefined && verb === "verify")
      return inventory.verify(decodeURIComponent(version), gone.signal);
    throw new OrderMalformedError("path", `${request.method} ${request.url} is not known; see docs/cli.md`);
  }

  private events(query: URLSearchParams, response: ServerResponse): undefined {
    const { events } = this.api.agent;
    const write = (event: Event) => {
      // What a reader has not read yet is kept in memory.
      if (response.writableLength > MAX_UNREAD) response.destroy();
      else response.write(`${JSON.stringify(event)}\n`);
    };
    const count = requireWholeNumber("last", query.get("last") ?? DEFAULT_EVENTS, MAX_EVENTS);
    startLines(response);
    for (const event of events.last(count)) write(event);
    if (!query.has("follow")) return void response.end();
    events.on("event", write);
    response.once("close", () => events.off("event", write));
    return undefined;
  }

  private async logs(query: URLSearchParams, response: ServerResponse): Promise<undefined> {
    const asked = { slot: query.get("slot"), worker: query.get("worker"), lines: query.get("lines") };
    const filter = this.api.outputFilter(asked);
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    startLines(response);
    const follow = query.has("follow") ? gone.signal : null;
    for await (const line of this.api.agent.output.read(filter, follow)) {
      if (gone.signal.aborted) return undefined;
      if (!response.write(`${JSON.stringify(line)}\n`)) await drained(response, gone.signal);
    }
    response.end();
    return undefined;
  }
}

function urlOf({ url = "/" }: IncomingMessage): URL {
  if (!URL.canParse(url, "http://slotd")) throw new OrderMalformedError("path", "is not an address");
  return new URL(url, "http://slotd");
}

function startLines(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.flushHeaders();
}

/** Waits for a reader that is slower than the workers write, rather than hold their lines in memory. */
async function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  await once(response, "drain", { signal: gone }).catch(() => {});
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}

function statusOf(error: SlotdError): number {
  switch (error.code) {
    case "ORDER_MALFORMED":
      return 400;
    case "SLOT_UNKNOWN":
    case "RELEASE_NOT_INSTALLED":
      return 404;
    case "SLOT_STATE":
      return 409;
    case "AGENT_BUSY":
      return 503;
    default:
      return 500;
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const text = await readText(request);
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OrderMalformedError("(the request)", "must be JSON", { cause });
  }
}

/** Keeps nothing past the bound, but reads on for a while: a sender that is cut off does not get to see the answer. */
function readText(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const tooLarge = new OrderMalformedError("(the request)", `must be at most ${MAX_BODY} bytes`);
    let text = "";
    let size = 0;
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      size += chunk.length;
      if (size <= MAX_BODY) text += chunk;
      else if (size > MAX_READ) request.destroy(tooLarge);
    });
    request.once("end", () => (size > MAX_BODY ? reject(tooLarge) : resolve(text)));
    request.once("error", reject);
  });
}

/** Makes the socket's directory. Only a socket may be in its place: anything else is somebody's file. */
function makePlace(socket: string): void {
  let there: ReturnType<typeof lstatSync>;
  try {
    mkdirSync(dirname(socket), { recursive: true, mode: 0o755 });
    there = lstatSync(socket, { throwIfNoEntry: false });
  } catch (cause) {
    throw new ConfigInvalidError("control.socket", `can't be used (${(cause as Error).message})`, { cause });
  }
  if (there && !there.isSocket())
    throw new ConfigInvalidError("control.socket", `must be free or a socket, but ${socket} is something else`);
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const client = connect(socket);
    client.once("connect", () => {
      client.destroy();
      resolve(true);
    });
    client.once("error", () => resolve(false));
  });
}

function groupId(group: string | number): number {
  if (typeof group === "number") return group;
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${group}:`));
  if (!line) throw new ConfigInvalidError("control.group", `must be a group of this host, but there is no ${group}`);
  return Number(line.split(":")[2]);
}
