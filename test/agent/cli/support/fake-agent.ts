import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Event } from "../../../../protocol/event.ts";
import type { HostStatus, SlotStatus, WireError, WorkerStatus } from "../../../../protocol/host-status.ts";
import { scratch } from "./scratch.ts";
import { host, slot } from "./values.ts";

export interface Asked {
  method: string;
  path: string;
  query: Record<string, string>;
  body: unknown;
}

interface Line {
  slot: string;
  worker: number;
  line: string;
}

/** The control socket of an agent, with canned answers: a real HTTP server on a unix socket. */
export class FakeAgent extends EventEmitter<{ asked: [Asked]; left: [] }> {
  status: HostStatus = host([slot()]);
  workers: WorkerStatus[] = [];
  events: Event[] = [];
  logs: Line[] = [];
  /** Answers a drain, undrain or restart. Changes `status` as the agent would. */
  steer: (slot: string, verb: string) => SlotStatus = (name) => this.status.slots[name] as SlotStatus;
  /** Called before each answer to GET /v1/status, with its number, from 1. */
  beforeStatus: (asked: number) => void = () => {};
  /** Refuses every request with this error. */
  refusal: { httpStatus: number; error: WireError } | null = null;
  readonly asked: Asked[] = [];
  /** Open responses of followers. */
  readonly following: ServerResponse[] = [];
  private readonly server = createServer((request, response) => void this.answer(request, response));
  private statusAsked = 0;

  constructor(readonly socketPath: string) {
    super();
  }

  async listen(): Promise<void> {
    this.server.listen(this.socketPath);
    await once(this.server, "listening");
  }

  async close(): Promise<void> {
    if (!this.server.listening) return;
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  /** Resolves once a request's path has this ending, even if it came earlier. */
  async untilAsked(ending: string): Promise<Asked> {
    for (;;) {
      const found = this.asked.find(({ path }) => path.endsWith(ending));
      if (found) return found;
      await once(this, "asked");
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://slotd");
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    const asked: Asked = {
      method: request.method ?? "",
      path: pathname,
      query: Object.fromEntries(searchParams),
      body: text === "" ? null : JSON.parse(text),
    };
    this.asked.push(asked);
    this.route(asked, response);
    this.emit("asked", asked);
  }

  private route({ method, path, query }: Asked, response: ServerResponse): void {
    const json = (status: number, value: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (this.refusal) return void json(this.refusal.httpStatus, { error: this.refusal.error });
    const steered = /^\/v1\/slots\/([^/]+)\/(drain|undrain|restart)$/.exec(path);
    if (method === "POST" && steered) return void json(200, this.steer(steered[1] as string, steered[2] as string));
    if (method === "GET" && path === "/v1/status") {
      this.beforeStatus(++this.statusAsked);
      return void json(200, this.status);
    }
    if (method === "GET" && path === "/v1/workers") return void json(200, this.workers);
    if (method === "GET" && path === "/v1/events") return void this.stream(this.events, query, response);
    if (method === "GET" && path === "/v1/logs") return void this.stream(this.logs, query, response);
    json(404, { error: { code: "INTERNAL", message: `no ${method} ${path}` } });
  }

  private stream(values: unknown[], query: Record<string, string>, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.flushHeaders();
    for (const value of values) response.write(`${JSON.stringify(value)}\n`);
    if (query.follow !== "1") return void response.end();
    this.following.push(response);
    response.once("close", () => this.emit("left"));
  }
}

/** A fake agent for one test. */
export async function startFakeAgent(t: TestContext): Promise<FakeAgent> {
  const agent = new FakeAgent(join(await scratch(t), "web.sock"));
  await agent.listen();
  t.after(() => agent.close());
  return agent;
}
