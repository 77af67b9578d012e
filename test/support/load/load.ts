import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_MS } from "../until.ts";

export interface LoadOptions {
  /** Where the next request goes; null: nowhere for the moment. */
  target(): { host: string; port: number } | null;
  clients?: number;
  /** One connection per client and target, used again and again; else a new one for each request. */
  keepAlive?: boolean;
  method?: "GET" | "POST";
  path?: string;
  headers?: Record<string, string>;
}

/** Clients that send one request after another until they are stopped. A request that fails is never sent again. */
export class Load {
  requests = 0;
  readonly failures: string[] = [];
  /** Answers by the version that gave them. */
  readonly versions = new Map<string, number>();
  private stopping = false;
  private readonly clients: Promise<void>[];

  constructor(private readonly options: LoadOptions) {
    this.clients = Array.from({ length: options.clients ?? 4 }, () => this.client());
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.clients);
  }

  private async client(): Promise<void> {
    const agent = new Agent({ keepAlive: this.options.keepAlive ?? false, maxSockets: 1 });
    try {
      while (!this.stopping) {
        const target = this.options.target();
        if (target) await this.one(agent, target);
        else await sleep(2);
      }
    } finally {
      agent.destroy();
    }
  }

  private async one(agent: Agent, target: { host: string; port: number }): Promise<void> {
    const { method = "GET", path = "/", headers = {} } = this.options;
    try {
      const { status, version, body } = await send(agent, { ...target, method, path, headers });
      this.versions.set(version, (this.versions.get(version) ?? 0) + 1);
      if (status !== 200) this.failures.push(`${method} answered ${status}: ${body}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.failures.push(`${method} to ${target.port}: ${code ?? ""} ${message}`);
      await sleep(2);
    }
    this.requests++;
  }
}

function send(
  agent: Agent,
  to: { host: string; port: number; method: string; path: string; headers: Record<string, string> },
) {
  return new Promise<{ status: number; version: string; body: string }>((resolve, reject) => {
    const call = request({ ...to, agent, timeout: PATIENCE_MS }, (response) => {
      let body = "";
      response.setEncoding("utf8").once("error", reject);
      response.on("data", (text: string) => {
        body = (body + text).slice(0, 200);
      });
      const version = String(response.headers["x-app-version"]);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, version, body }));
    });
    call.once("error", reject);
    call.once("timeout", () => call.destroy(new Error(`no answer in ${PATIENCE_MS} ms`)));
    call.end(to.method === "POST" ? "x".repeat(2_000) : undefined);
  });
}
