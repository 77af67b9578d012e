import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { stringify } from "smol-toml";
import { type EdgeStatus, edgeStatusSchema } from "../../protocol/routes.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { freePorts } from "./ports.ts";
import { PATIENCE_MS, until } from "./until.ts";

const EDGE = fileURLToPath(new URL("../../edge/main.js", import.meta.url));

/** Hosts of tests have addresses of their own on this machine. `networks: undefined` in the settings: the default. */
const HERE = ["127.0.0.0/8"];

export interface EdgeOptions {
  nats: string | readonly string[];
  name?: string;
  service?: string;
  /** `[proxy]` of the configuration; the builtin router on a free port by default. */
  proxy?: { kind: "builtin" | "varnish" | "haproxy" } & Record<string, unknown>;
  /** Where the proxy takes requests, where it is not the builtin router. */
  url?: string;
  /** More of the configuration, at its top. */
  settings?: Record<string, unknown>;
}

let edges = 0;

/** A real slotd-edge, as a process with a configuration file in a directory of its own. */
export class Edge {
  private child: ChildProcess | undefined;
  private nc: NatsConnection | undefined;

  private constructor(
    readonly name: string,
    readonly service: string,
    readonly url: string,
    readonly directory: string,
    private readonly options: EdgeOptions,
  ) {}

  /** An edge that is configured, and not started yet. */
  static async create(options: EdgeOptions): Promise<Edge> {
    const [port] = (await freePorts(1)) as [number];
    const proxy = options.proxy ?? { kind: "builtin" };
    const isBuiltin = proxy.kind === "builtin";
    const url = options.url ?? `http://127.0.0.1:${isBuiltin ? (proxy.port ?? port) : 0}`;
    const directory = mkdtempSync(join(tmpdir(), "slotd-edge-"));
    const edge = new Edge(options.name ?? `edge${++edges}`, options.service ?? "web", url, directory, options);
    edge.configure({ proxy: isBuiltin ? { port, ...proxy } : proxy, ...options.settings });
    return edge;
  }

  /** An edge that runs. Neither its bus nor its proxy is waited for. */
  static async start(options: EdgeOptions): Promise<Edge> {
    const edge = await Edge.create(options);
    try {
      await edge.begin();
      return edge;
    } catch (error) {
      await edge.close();
      throw error;
    }
  }

  get configFile(): string {
    return join(this.directory, "edge.toml");
  }

  get state(): string {
    return join(this.directory, "state");
  }

  /** What it goes on from where the bus is away. */
  get stateFile(): string {
    return join(this.state, "last-good.json");
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  private get servers(): readonly string[] {
    return [this.options.nats].flat();
  }

  private configure(settings: Record<string, unknown>): void {
    const { service, name: edge, state: state_directory } = this;
    const nats = { servers: this.servers };
    writeFileSync(
      this.configFile,
      stringify({ service, edge, state_directory, nats, networks: HERE, log_level: "debug", ...settings }),
    );
  }

  /** Starts the process, and waits until it says that it has started. */
  async begin(): Promise<void> {
    const from = this.log().length;
    const out = openSync(join(this.directory, "edge.log"), "a");
    const child = spawn(process.execPath, [EDGE, "--config", this.configFile], { stdio: ["ignore", out, out] });
    closeSync(out);
    this.child = child;
    const started = () => {
      if (child.exitCode !== null) throw new Error(`slotd-edge ended with ${child.exitCode}:\n${this.log()}`);
      return this.log().slice(from).includes('"edge started"');
    };
    await until("slotd-edge started", started);
  }

  log(): string {
    try {
      return readFileSync(join(this.directory, "edge.log"), "utf8");
    } catch {
      return "";
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** SIGTERM, and waits for the end. @returns the exit code */
  stop(): Promise<number | null> {
    return this.end("SIGTERM");
  }

  /** kill -9. */
  kill(): Promise<number | null> {
    return this.end("SIGKILL");
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    child.kill(signal);
    return ended;
  }

  /** What stands under its key on the bus; null where there is nothing. */
  async status(): Promise<EdgeStatus | null> {
    // nats-server 2.9 ends with a fault where a bucket is read while somebody is about to make it, as the edge may be.
    if (!this.log().includes('"bus connected"')) return null;
    const kv = await new Kvm(await this.bus()).open(buckets.edges);
    const entry = await kv.get(keys.edge(this.service, this.name));
    return entry?.operation === "PUT" ? edgeStatusSchema.parse(entry.json()) : null;
  }

  untilStatus(what: string, holds: (status: EdgeStatus) => boolean, timeoutMs = PATIENCE_MS): Promise<EdgeStatus> {
    let last: EdgeStatus | null = null;
    const look = async () => {
      last = await this.status();
      if (last && holds(last)) return last;
      throw new Error(JSON.stringify(last));
    };
    return until(`the edge ${this.name} says: ${what}`, look, { timeoutMs, everyMs: 10 });
  }

  /** Waits until it says that its proxy runs with these revisions, or later ones. */
  untilAcknowledged(revisions: { routes?: number; serversets?: number }, timeoutMs = PATIENCE_MS): Promise<EdgeStatus> {
    const { routes = 0, serversets = 0 } = revisions;
    return this.untilStatus(
      JSON.stringify(revisions),
      (status) => status.appliedRoutes >= routes && status.appliedServersets >= serversets,
      timeoutMs,
    );
  }

  /** A connection of the test's own, which is up. */
  private async bus(): Promise<NatsConnection> {
    this.nc ??= await connect({ servers: [...this.servers], maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const { nc } = this;
    const answers = async () => Promise.race([nc.flush().then(() => true), sleep(500, false, { ref: false })]);
    await until("the test's own connection to the bus is up", answers);
    return nc;
  }

  /** Ends all that was started here, also after a failure, and removes the directory. */
  async close(): Promise<void> {
    await this.kill();
    await this.nc?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
