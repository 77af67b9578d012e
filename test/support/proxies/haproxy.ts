import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HaproxyConfig, haproxyConfigSchema, prepareHaproxy } from "../../../edge/proxies/haproxy/index.ts";
import type { VersionNaming } from "../../../edge/table/table.ts";
import { ServiceProcess } from "../agent/service-process.ts";
import { freePorts } from "../ports.ts";
import { type ProxyOptions, RealProxy } from "./real-proxy.ts";

const defaultNaming: VersionNaming = { header: "X-App-Version", query: null, cookie: null };

/** A real HAProxy with the base configuration of an edge. */
export type Haproxy = RealProxy<HaproxyConfig>;
export const Haproxy = { start };

  static async start(
    options: { address?: string; port?: number; naming?: VersionNaming; config?: Partial<HaproxyConfig> } = {},
  ): Promise<Haproxy> {
    const { address = "127.0.0.1", naming = defaultNaming } = options;
    const port = options.port ?? ((await freePorts(1, address))[0] as number);
    const directory = mkdtempSync(join(tmpdir(), "slotd-haproxy-"));
    try {
      chmodSync(directory, 0o755);
      const config = haproxyConfigSchema.parse({
        kind: "haproxy",
        socket: join(directory, "runtime.sock"),
        directory: join(directory, "table"),
        bind: [`${address}:${port}`],
        ...options.config,
      });
      writeFileSync(join(directory, "haproxy.cfg"), prepareHaproxy(config, naming));
      return new Haproxy(config, address, port, directory, await launch(directory, address, port, config.socket));
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get url(): string {
    return `http://${this.address}:${this.port}`;
  }

  get pid(): number {
    return this.process.pid;
  }

  /** What it wrote so far. */
  get said(): string {
    return this.process.said;
  }

  /** Rewrites the configuration file, for the next start. */
  rewriteBase(rewrite: (base: string) => string): void {
    const file = join(this.directory, "haproxy.cfg");
    writeFileSync(file, rewrite(readFileSync(file, "utf8")));
  }

  /** SIGKILL; its files stay. */
  kill(): Promise<void> {
    return this.process.end("SIGKILL");
  }

  async restart(): Promise<void> {
    await this.process.end("SIGTERM");
    this.process = await launch(this.directory, this.address, this.port, this.config.socket);
  }

  async stop(): Promise<void> {
    await this.process.end("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Its runtime API is there a moment after its port is. */
function launch(directory: string, host: string, port: number, api: string): Promise<ServiceProcess> {
  return ServiceProcess.start(
    ["haproxy", "-db", "-f", join(directory, "haproxy.cfg")],
    [{ host, port }, { path: api }],
  );
}
