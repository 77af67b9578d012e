import { type IncomingMessage, request } from "node:http";
import { z } from "zod";
import { AgentUnreachableError, InternalError, SlotdError } from "../../protocol/errors.ts";
import { type Event, eventSchema } from "../../protocol/event.ts";
import {
  type HostStatus,
  hostStatusSchema,
  type SlotStatus,
  slotStatusSchema,
  type WorkerStatus,
  wireErrorSchema,
  workerStatusSchema,
} from "../../protocol/host-status.ts";
import {
  type ReleaseStatus,
  releaseStatusSchema,
  type Verification,
  verificationSchema,
} from "../../protocol/release-status.ts";
import { denied } from "./denied.ts";
import { AgentError } from "./errors.ts";
import { lines } from "./lines.ts";

/** A line of a worker's output. */
export const logLineSchema = z.object({ slot: z.string(), worker: z.int().nonnegative(), line: z.string() });
export type LogLine = z.infer<typeof logLineSchema>;

export interface Steer {
  by: string;
  reason?: string | undefined;
}

type Query = Record<string, string | number | boolean | undefined> & { follow: boolean };

/**
 * A client of an agent's control socket: HTTP with JSON, one connection per request. An aborted signal ends a stream
 * without an error and rejects everything else.
 * @throws AgentUnreachableError, ControlDeniedError, or AgentError with the agent's own code.
 */
export class ControlClient {
  constructor(
    readonly socketPath: string,
    private readonly signal: AbortSignal,
    private readonly timeoutMs = 10_000,
  ) {}

  status(): Promise<HostStatus> {
    return this.json("GET", "/v1/status", hostStatusSchema);
  }

  workers(): Promise<WorkerStatus[]> {
    return this.json("GET", "/v1/workers", z.array(workerStatusSchema));
  }

  events(query: { last: number; follow: boolean }): AsyncGenerator<Event, void> {
    return this.stream("/v1/events", query, eventSchema);
  }

  logs(query: {
    slot?: string | undefined;
    worker?: number | undefined;
    lines: number;
    follow: boolean;
  }): AsyncGenerator<LogLine, void> {
    return this.stream("/v1/logs", query, logLineSchema);
  }

  releases(): Promise<ReleaseStatus[]> {
    return this.json("GET", "/v1/releases", z.array(releaseStatusSchema));
  }

  verify(version: string): Promise<Verification> {
    return this.json("POST", `/v1/releases/${encodeURIComponent(version)}/verify`, verificationSchema, {});
  }

  steer(slot: string, verb: "drain" | "undrain" | "restart", body: Steer): Promise<SlotStatus> {
    return this.json("POST", `/v1/slots/${encodeURIComponent(slot)}/${verb}`, slotStatusSchema, body);
  }

  private async json<T>(method: string, path: string, schema: z.ZodType<T>, body?: object): Promise<T> {
    const response = await this.open(method, path, body);
    return this.parseAnswer(path, schema, await this.text(response));
  }

  private async *stream<T>(path: string, query: Query, schema: z.ZodType<T>): AsyncGenerator<T, void> {
    try {
      const response = await this.open("GET", withQuery(path, query));
      try {
        for await (const line of lines(response)) yield this.parseAnswer(path, schema, line);
      } finally {
        response.destroy();
      }
    } catch (error) {
      if (this.signal.aborted) return;
      throw isNetworkError(error) ? this.unreachable(error) : error;
    }
    if (query.follow && !this.signal.aborted)
      throw new AgentUnreachableError(this.socketPath, "the agent ended the stream");
  }

  private parseAnswer<T>(path: string, schema: z.ZodType<T>, text: string): T {
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new InternalError(
      `the agent's answer to ${path} is invalid (${issue?.path.join(".") || "the whole answer"}: ${issue?.message}); ` +
        `are slotctl and slotd the same version?`,
    );
  }

  private async text(response: IncomingMessage): Promise<string> {
    let text = "";
    try {
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
    } catch (cause) {
      throw isNetworkError(cause) ? this.unreachable(cause) : cause;
    }
    return text;
  }

  private async open(method: string, path: string, body?: object): Promise<IncomingMessage> {
    const response = await this.send(method, path, body);
    const { statusCode = 0 } = response;
    if (statusCode < 400) return response;
    const text = await this.text(response);
    const parsed = z.object({ error: wireErrorSchema }).safeParse(parseJson(text));
    if (parsed.success) throw new AgentError(parsed.data.error);
    throw new InternalError(`the agent answered ${statusCode} to ${method} ${path}: ${text.slice(0, 200)}`);
  }

  private send(method: string, path: string, body?: object): Promise<IncomingMessage> {
    const { socketPath, signal } = this;
    const payload = body && JSON.stringify(body);
    const headers = {
      host: "slotd",
      accept: "application/json, application/x-ndjson",
      ...(payload && { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
    };
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath, signal, method, path, headers, agent: false });
      sent.setTimeout(this.timeoutMs, () => sent.destroy(new Error(`no answer within ${this.timeoutMs} ms`)));
      sent.on("error", (cause) => reject(signal.aborted ? cause : this.unreachable(cause)));
      sent.once("response", (response) => {
        sent.setTimeout(0); // a stream is silent while nothing happens
        resolve(response);
      });
      sent.end(payload);
    });
  }

  private unreachable(cause: unknown): Error {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") return denied(this.socketPath);
    const why =
      code === "ENOENT"
        ? "the socket does not exist"
        : code === "ECONNREFUSED"
          ? "nothing listens on it"
          : code === "ECONNRESET" || code === "EPIPE"
            ? "the connection was closed"
            : message;
    return new AgentUnreachableError(this.socketPath, why);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isNetworkError(error: unknown): boolean {
  return error instanceof Error && "code" in error && !(error instanceof SlotdError);
}

function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query))
    if (value !== undefined && value !== false) parameters.set(key, value === true ? "1" : String(value));
  return `${path}?${parameters}`;
}
