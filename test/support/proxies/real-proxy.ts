import { rmSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { ServiceProcess } from "../agent/service-process.ts";
import { PATIENCE_MS } from "../until.ts";

/** Where a real proxy listens, and how it is started, also again. */
export interface ProxyParts<Config> {
  /** `[proxy]` of the edge that goes with it. */
  config: Config;
  address: string;
  port: number;
  /** Its own, with all that it reads and writes. */
  directory: string;
  launch: () => Promise<ServiceProcess>;
}

/** A proxy's process, with the files that it needs. */
export class RealProxy<Config> {
  readonly config: Config;
  readonly address: string;
  readonly port: number;

  private constructor(
    private readonly parts: ProxyParts<Config>,
    private process: ServiceProcess,
  ) {
    this.config = parts.config;
    this.address = parts.address;
    this.port = parts.port;
  }

  /** A proxy that takes connections. Where it can't be prepared or started, its directory is removed. */
  static async start<Config>(directory: string, prepare: () => ProxyParts<Config>): Promise<RealProxy<Config>> {
    try {
      const parts = prepare();
      return new RealProxy(parts, await parts.launch());
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get url(): string {
    return `http://${this.address}:${this.port}`;
  }

  /** Of the process that was started; with Varnish its child is the one that serves. */
  get pid(): number {
    return this.process.pid;
  }

  /** What it wrote so far. */
  get said(): string {
    return this.process.said;
  }

  /** SIGKILL; its files stay. */
  kill(): Promise<void> {
    return this.process.end("SIGKILL");
  }

  async restart(): Promise<void> {
    await this.process.end("SIGTERM");
    this.process = await this.launchOnFreePorts();
  }

  /** After a SIGKILL a child of varnishd still holds its ports for a moment. */
  private async launchOnFreePorts(): Promise<ServiceProcess> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await this.parts.launch();
      } catch (error) {
        if (!/address already in use/i.test(String(error)) || Date.now() > deadline) throw error;
        await setTimeout(100);
      }
    }
  }

  /** Ends it, and removes its files. */
  async stop(): Promise<void> {
    await this.process.end("SIGTERM");
    rmSync(this.parts.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** How a test asks for a proxy. */
export interface ProxyOptions<Naming, Config> {
  address?: string;
  /** A free one by default. */
  port?: number;
  naming?: Naming;
  config?: Partial<Config>;
}
