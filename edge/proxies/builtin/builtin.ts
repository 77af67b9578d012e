import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Logger } from "pino";
import { PortTakenError } from "../../../protocol/errors.ts";
import { chooseVersion } from "../../table/choose-version.ts";
import type { Table, VersionNaming } from "../../table/table.ts";
import type { ManagedProxy } from "../contract.ts";
import { assertRenderable } from "../renderable.ts";
import type { BuiltinConfig } from "./config.ts";
import { answerFailure, noEndpoint } from "./failure.ts";
import { forward } from "./forward.ts";
import { namedVersion } from "./named-version.ts";
import { Origins } from "./origins.ts";
import { passUpgrade } from "./upgrade.ts";

/** How long requests in flight may take when the router stops. */
const END_MS = 10_000;

/** The router in this program, for demonstrations and developers' machines. It stops with the program. */
export class Builtin implements ManagedProxy {
  readonly kind = "builtin";
  private table: Table | null = null;
  private readonly origins: Origins;
  private readonly server: Server;

  constructor(
    private readonly config: BuiltinConfig,
    private readonly naming: VersionNaming,
    private readonly log: Logger,
  ) {
    this.origins = new Origins(config);
    this.server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 0 }, (request, response) => {
      void this.answer(request, response);
    });
    this.server.on("upgrade", (request, socket, head) => {
      void passUpgrade(request, socket, head, this.origins, this.choose(request), this.naming.header);
    });
  }

  /** @throws PortTakenError */
  async listen(): Promise<void> {
    const { address, port } = this.config;
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", (error: NodeJS.ErrnoException) =>
        reject(
          error.code === "EADDRINUSE"
            ? new PortTakenError(`${address}:${port}`, null, "set another proxy.port")
            : error,
        ),
      );
      this.server.listen(port, address, resolve);
    });
    this.log.info({ address, port }, "router is listening");
  }

  /** Takes effect with the next request. */
  async apply(table: Table): Promise<void> {
    assertRenderable(table);
    this.origins.set(table);
    this.table = table;
  }

  async isCurrent(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.server.close(() => resolve()));
    const cut = setTimeout(() => this.server.closeAllConnections(), END_MS);
    // Tells clients to close connections that they keep using.
    this.server.on("request", (_request, response) => response.setHeader("connection", "close"));
    this.server.closeIdleConnections();
    await ended;
    clearTimeout(cut);
    await this.origins.destroy();
  }

  private choose(request: IncomingMessage): string | null {
    return this.table && chooseVersion(this.table, namedVersion(request, this.naming));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const version = this.choose(request);
    if (version === null) return answerFailure(response, noEndpoint);
    try {
      await forward(request, response, this.origins, version, this.naming);
    } catch (error) {
      this.log.warn({ err: error }, "request could not be forwarded");
      answerFailure(response, { status: 502, reason: "the request could not be forwarded" });
    }
  }
}
