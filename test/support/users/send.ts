import { type Agent, type IncomingHttpHeaders, request } from "node:http";
import type { Socket } from "node:net";

const TIMEOUT_MS = 10_000;

export interface Asked {
  method: "GET" | "POST";
  url: string;
  headers: Record<string, string>;
  /** Whose connections are kept; false: a new one, for this request alone. */
  agent: Agent | false;
  body?: Buffer;
}

/** The connection that a request went over. */
export interface Connection {
  /** It had been used before. */
  kept: boolean;
  /** When it was opened, by the clock of `performance.now`; null where it never was. */
  openedMs: number | null;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  connection: Connection;
}

/** No whole answer came. */
export class SendError extends Error {
  constructor(
    readonly code: string,
    readonly connection: Connection,
    cause: Error,
  ) {
    super(`${code} on a ${connection.kept ? "kept" : "new"} connection`, { cause });
  }
}

const openings = new WeakMap<Socket, number>();

/** One request, tried once. @throws SendError */
export function send({ method, url, headers, agent, body }: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let used: Socket | undefined;
    const connection = (): Connection => ({
      kept: outgoing.reusedSocket,
      openedMs: (used && openings.get(used)) ?? null,
    });
    const fail = (error: NodeJS.ErrnoException) =>
      reject(new SendError(error.code ?? error.message, connection(), error));
    const all = body === undefined ? headers : { ...headers, "content-length": String(body.length) };
    const outgoing = request(url, { method, headers: all, agent, timeout: TIMEOUT_MS }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("error", fail);
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, connection: connection() }),
      );
    });
    outgoing.once("socket", (socket) => {
      used = socket;
      if (!openings.has(socket)) socket.once("connect", () => openings.set(socket, performance.now()));
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
    outgoing.once("error", fail);
    outgoing.end(body);
  });
}
