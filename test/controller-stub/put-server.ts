import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Files = Map<string, Buffer>;

export interface PutServer {
  origin: string;
  /** By path. */
  files: Files;
  /** How many were stored. */
  readonly puts: number;
  /** Does something when a PUT's headers have come, before anything is looked at. */
  beforePut(hook: (path: string, files: Files) => void): void;
  /** Lets everybody read. */
  open(): void;
  close(): Promise<void>;
}

/** A real HTTP server that keeps what is PUT, and knows ETags and conditions. */
export async function startPutServer({ authorization }: { authorization?: string } = {}): Promise<PutServer> {
  const files: Files = new Map();
  let wanted = authorization;
  let puts = 0;
  let hook: (path: string, files: Files) => void = () => {};
  const etagOf = (bytes: Buffer) => `"${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}"`;

  /** Why a PUT is refused before its body is asked for. */
  const refusal = ({ headers, url = "" }: IncomingMessage): number | null => {
    const there = files.get(url);
    if (wanted !== undefined && headers.authorization !== wanted) return 401;
    if (headers["if-none-match"] === "*" && there) return 412;
    if (headers["if-match"] && (!there || headers["if-match"] !== etagOf(there))) return 412;
    return null;
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { method, url = "" } = request;
    if (wanted !== undefined && request.headers.authorization !== wanted) return response.writeHead(401).end("no\n");
    if (method === "GET") {
      const bytes = files.get(url);
      if (!bytes) return response.writeHead(404).end();
      return response.writeHead(200, { etag: etagOf(bytes), "content-length": bytes.length }).end(bytes);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const why = refusal(request);
    if (why !== null) return response.writeHead(why).end();
    files.set(url, Buffer.concat(chunks));
    puts++;
    return response.writeHead(201).end();
  };
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    hook(request.url ?? "", files);
    const why = refusal(request);
    if (why !== null) {
      response.writeHead(why).end();
      return;
    }
    response.writeContinue();
    server.emit("request", request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files,
    get puts() {
      return puts;
    },
    beforePut(next) {
      hook = next;
    },
    open() {
      wanted = undefined;
    },
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}
