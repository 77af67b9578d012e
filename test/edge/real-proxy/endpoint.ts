import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Endpoint as TableEndpoint } from "../../../edge/table/table.ts";

/** An endpoint's response: its identity, and what it was asked. */
export interface Said {
  version: string;
  id: string;
  method: string;
  bodyBytes: number;
}

let started = 0;

/**
 * An address of its own for each endpoint, so that a proxy that falls back on a default address misses it. The
 * whole of 127.0.0.0/8 is this host.
 */
const ownAddress = () => `127.0.4.${1 + (started++ % 250)}`;

/**
 * A tiny app that says its version and its id, and names a wrong version in the response header. `/cached` may be
 * cached for a minute, `/stream` continues until `finishStreams()`, and an upgrade is an echo.
 */
export class Endpoint {
  /** The highest number that was requested as a path; `Users` number their requests. */
  lastNumber = 0;
  requests = 0;
  private readonly streams = new Set<ServerResponse>();

  private constructor(
    readonly version: string,
    readonly id: string,
    private readonly server: Server,
  ) {
    server.on("request", (request, response) => void this.answer(request, response));
    server.on("upgrade", (_request, socket) => {
      socket.on("error", () => {});
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n${version}:`);
      socket.pipe(socket);
    });
  }

  /** @param at where it listens; by default an address of its own, and a free port */
  static async start(version: string, id: string, at = { address: ownAddress(), port: 0 }): Promise<Endpoint> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    const endpoint = new Endpoint(version, id, server);
    server.listen(at.port, at.address);
    await once(server, "listening");
    return endpoint;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get address(): string {
    return (this.server.address() as AddressInfo).address;
  }

  inTable(weight = 1): TableEndpoint {
    return { id: `prod.${this.id}.a`, stage: "prod", address: this.address, port: this.port, weight };
  }

  finishStreams(): void {
    for (const response of this.streams) response.end("end");
    this.streams.clear();
  }

  async stop(): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.lastNumber = Math.max(this.lastNumber, Number(request.url?.slice(1)) || 0);
    this.requests++;
    request.on("error", () => {});
    let bodyBytes = 0;
    for await (const chunk of request) bodyBytes += (chunk as Buffer).length;
    response.setHeader("x-app-version", "a-lie");
    if (request.url?.startsWith("/stream")) {
      this.streams.add(response);
      response.write("begin");
      return;
    }
    if (request.url?.startsWith("/cached")) response.setHeader("cache-control", "public, max-age=60");
    const said: Said = { version: this.version, id: this.id, method: request.method ?? "", bodyBytes };
    response.setHeader("content-type", "application/json").end(JSON.stringify(said));
  }
}
