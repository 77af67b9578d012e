import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { Logger } from "pino";
import {
  AgentRunningError,
  ConfigInvalidError,
  type Event,
  OrderMalformedError,
  type SlotdError,
  toSlotdError,
} from "../../protocol/index.ts";
import type { Config } from "../config/schema.ts";
import type { Api } from "./api.ts";
import { followOutput, lastOutput, type OutputFilter } from "./output-reader.ts";

const MAX_BODY = 64 * 1024;
const MAX_LINES = 10_000;

/** HTTP+JSON on a unix socket: what `slotctl` talks to. Reaching it is the authorization, so that its mode is what protects it. */
export class ControlServer {
  private readonly server: Server;

  constructor(
    private readonly config: Config["control"],
    private readonly api: Api,
    private readonly log: Logger,
  ) {
    this.server = createServer((request, response) => void this.handle(request, response));
  }

  /** @throws AgentRunningError where another agent answers there, ConfigInvalidError where the group is unknown. */
  async listen(): Promise<void> {
    const { socket, group } = this.config;
    mkdirSync(dirname(socket), { recursive: true, mode: 0o755 });
    if (await answers(socket)) throw new AgentRunningError(socket);
    rmSync(socket, { force: true });
    // Created for nobody else; opened to the group only when it has the right owner.
    const umask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.server.once("error", reject);
        this.server.listen(socket, resolve);
      });
    } finally {
      process.umask(umask);
    }
    if (group !== undefined) chownSync(socket, -1, groupId(group));
    chmodSync(socket, 0o660);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    rmSync(this.config.socket, { force: true });
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://slotd");
    try {
      const answer = await this.route(request, url, response);
      if (answer !== undefined) send(response, 200, answer);
    } catch (error) {
      const known = toSlotdError(error);
      if (known.code === "INTERNAL") this.log.error({ err: error, url: url.pathname }, "request failed");
      if (response.headersSent) return void response.destroy();
      send(response, statusOf(known), { error: known.toWire() });
    }
  }

  private async route(request: IncomingMessage, url: URL, response: ServerResponse): Promise<unknown> {
    const { api } = this;
    const [, version, noun, slot, verb] = url.pathname.split("/");
    if (version !== "v1") throw new OrderMalformedError("path", "must begin with /v1/");
    if (request.method === "POST" && noun === "slots" && slot !== undefined) {
      const body = await readJson(request);
      if (verb === "drain") return api.drain(slot, body);
      if (verb === "undrain") return api.undrain(slot, body);
      if (verb === "restart") return api.restart(slot, body);
    }
    if (request.method === "GET" && slot === undefined) {
      if (noun === "status") return api.status();
      if (noun === "workers") return api.workers();
      if (noun === "events") return this.events(url.searchParams, response);
      if (noun === "logs") return this.logs(url.searchParams, response);
    }
    throw new OrderMalformedError("path", `${request.method} ${url.pathname} is not known; see docs/cli.md`);
  }

  private events(query: URLSearchParams, response: ServerResponse): undefined {
    const { events } = this.api.agent;
    startLines(response);
    const write = (event: Event) => response.write(`${JSON.stringify(event)}\n`);
    for (const event of events.last(lineCount(query, "last"))) write(event);
    if (!query.has("follow")) return void response.end();
    events.on("event", write);
    response.once("close", () => events.off("event", write));
    return undefined;
  }

  private async logs(query: URLSearchParams, response: ServerResponse): Promise<undefined> {
    const worker = query.get("worker");
    const filter: OutputFilter = {
      slot: query.get("slot"),
      worker: worker === null ? null : Number(worker),
      lines: lineCount(query, "lines"),
    };
    if (filter.slot !== null) this.api.agent.find(filter.slot);
    const { logDirectory } = this.api.agent;
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const read = await lastOutput(logDirectory, filter);
    startLines(response);
    for (const line of read.lines) response.write(`${JSON.stringify(line)}\n`);
    if (query.has("follow")) {
      for await (const line of followOutput(logDirectory, filter, read.positions, gone.signal)) {
        response.write(`${JSON.stringify(line)}\n`);
      }
    }
    response.end();
    return undefined;
  }
}

function lineCount(query: URLSearchParams, name: string): number {
  const count = Number(query.get(name) ?? 100);
  if (!Number.isInteger(count) || count < 0 || count > MAX_LINES)
    throw new OrderMalformedError(name, `must be a whole number up to ${MAX_LINES}, but is ${query.get(name)}`);
  return count;
}

function startLines(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.flushHeaders();
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
      return 404;
    case "SLOT_STATE":
      return 409;
    default:
      return 500;
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > MAX_BODY) throw new OrderMalformedError("(the request)", `must be at most ${MAX_BODY} bytes`);
  }
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OrderMalformedError("(the request)", "must be JSON", { cause });
  }
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
