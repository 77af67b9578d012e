import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { stringify } from "smol-toml";
import type { Event } from "../../../protocol/event.ts";
import type { HostStatus, SlotStatus, WorkerStatus } from "../../../protocol/host-status.ts";
import type { Member } from "../../../protocol/member.ts";
import type { Order } from "../../../protocol/order.ts";
import type { Release } from "../../../protocol/release.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { freePorts } from "../ports.ts";
import { PATIENCE_MS, until } from "../until.ts";

const AGENT = fileURLToPath(new URL("../../../agent/main.js", import.meta.url));
/** Node's own options, as the program's first line gives them to whoever starts it by name. */
const NODE_OPTIONS = (readFileSync(AGENT, "utf8").split("\n")[0] ?? "")
  .split(" ")
  .filter((word) => word.startsWith("--"));

/** Parts of the configuration file that a test sets; tables are merged with the defaults of `Host`. */
export type Settings = Record<string, unknown>;

export interface HostOptions {
  nats: string;
  settings?: Settings;
  /** Address of the simulated host. */
  bind?: string;
  name?: string;
  /** The Node that runs the agent. */
  node?: string;
  /** Options of that Node, for example a module to import first. */
  nodeOptions?: string[];
  /** The agent's program, where it is not the one that was built here. */
  agent?: string;
}

/** Hosts have names of their own, so that several may share a bus; orders have ids and epochs of their own. */
let hosts = 0;
let orders = 0;

/** A host with a real agent on it, as a process of its own. */
export class Host {
  private agent: ChildProcess | undefined;
  private nc: NatsConnection | undefined;

  private constructor(
    readonly name: string,
    readonly directory: string,
    readonly bind: string,
    readonly ports: Record<string, number>,
    private readonly options: HostOptions,
  ) {}

  /** A host with its own directory and ports; the agent is not started yet. */
  static async create(options: HostOptions): Promise<Host> {
    const bind = options.bind ?? "127.0.0.1";
    const [a, b] = (await freePorts(2, bind)) as [number, number];
    const directory = mkdtempSync(join(tmpdir(), "slotd-host-"));
    const host = new Host(options.name ?? `h${++hosts}`, directory, bind, { a, b }, options);
    host.configure(options.settings ?? {});
    mkdirSync(join(directory, "archives"));
    return host;
  }

  /** A host whose agent answers. */
  static async start(options: HostOptions): Promise<Host> {
    const host = await Host.create(options);
    try {
      await host.startAgent();
    } catch (error) {
      await host.close();
      throw error;
    }
    return host;
  }

  get socket(): string {
    return join(this.directory, "slotd.sock");
  }

  get state(): string {
    return join(this.directory, "state");
  }

  get configFile(): string {
    return join(this.directory, "slotd.toml");
  }

  get logFile(): string {
    return join(this.directory, "agent.log");
  }

  /** Where releases for this host may be put. */
  get archives(): string {
    return join(this.directory, "archives");
  }

  get agentPid(): number {
    return this.agent?.pid ?? 0;
  }

  /** Writes the configuration file: what tests want by default, with the given settings merged in. */
  configure(settings: Settings): void {
    const defaults: Settings = {
      service: "web",
      host: this.name,
      bind: this.bind,
      state_directory: this.state,
      slots: { a: { port: this.ports.a }, b: { port: this.ports.b } },
      nats: { servers: [this.options.nats] },
      app: { command: [process.execPath, "app.mjs"], workers: 4, stop_grace_ms: 5_000, restart_backoff_min_ms: 50 },
      health: { interval_ms: 200, timeout_ms: 1_000 },
      readiness: { hold_ms: 50, timeout_ms: 15_000 },
      drain: { pause_ms: 50, timeout_ms: 10_000, quiet_ms: 200 },
      // What is removed is seen to go; what is kept has tests of its own.
      releases: { keep: 0 },
      control: { socket: this.socket },
      logs: { level: "debug" },
    };
    writeFileSync(this.configFile, stringify(merge(defaults, settings)));
  }

  /** Starts the agent, and waits until it answers. */
  async startAgent(): Promise<void> {
    const agent = this.spawnAgent();
    await until("the agent answers", async () => {
      if (agent.exitCode !== null) throw new Error(`the agent ended with ${agent.exitCode}:\n${this.log()}`);
      return this.status();
    });
  }

  spawnAgent(): ChildProcess {
    const out = openSync(this.logFile, "a");
    try {
      const node = this.options.node ?? process.execPath;
      this.agent = spawn(
        node,
        [
          ...NODE_OPTIONS,
          ...(this.options.nodeOptions ?? []),
          this.options.agent ?? AGENT,
          "--config",
          this.configFile,
        ],
        {
          stdio: ["ignore", out, out],
          cwd: this.directory,
        },
      );
    } finally {
      closeSync(out);
    }
    return this.agent;
  }

  /** Ends the agent by a signal, and waits for its end. */
  async endAgent(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const { agent } = this;
    if (!agent || agent.exitCode !== null || agent.signalCode !== null) return agent?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => agent.once("exit", resolve));
    agent.kill(signal);
    return ended;
  }

  /** kill -9: the workers stay. */
  killAgent(): Promise<number | null> {
    return this.endAgent("SIGKILL");
  }

  log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  // --- the control socket

  async ask<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
    const { status, text } = await this.call(method, path, body);
    const answer = JSON.parse(text) as T & { error?: { code: string; message: string } };
    if (status >= 400) throw Object.assign(new Error(answer.error?.message), { code: answer.error?.code, status });
    return answer;
  }

  status(): Promise<HostStatus> {
    return this.ask("GET", "/v1/status");
  }

  async slot(name: string): Promise<SlotStatus> {
    return (await this.status()).slots[name] as SlotStatus;
  }

  async workers(slot?: string): Promise<WorkerStatus[]> {
    const all = await this.ask<WorkerStatus[]>("GET", "/v1/workers");
    return slot === undefined ? all : all.filter((worker) => worker.slot === slot);
  }

  async pids(slot: string): Promise<number[]> {
    return (await this.workers(slot)).map((worker) => worker.pid).sort((x, y) => x - y);
  }

  async events(): Promise<Event[]> {
    const { text } = await this.call("GET", "/v1/events?last=1000");
    return text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Event);
  }

  do(verb: "drain" | "undrain" | "restart", slot: string): Promise<SlotStatus> {
    return this.ask("POST", `/v1/slots/${slot}/${verb}`, { by: "test" });
  }

  untilSlot(
    name: string,
    what: string,
    holds: (slot: SlotStatus) => boolean,
    timeoutMs = PATIENCE_MS,
  ): Promise<SlotStatus> {
    return until(
      `slot ${name}: ${what}`,
      async () => {
        const slot = await this.slot(name);
        if (holds(slot)) return slot;
        throw new Error(JSON.stringify(slot));
      },
      { timeoutMs },
    );
  }

  untilState(name: string, state: SlotStatus["state"], timeoutMs?: number): Promise<SlotStatus> {
    return this.untilSlot(name, `is ${state}`, (slot) => slot.state === state, timeoutMs);
  }

  /** Waits until an order has its outcome. */
  untilOrder(slot: string, id: string, timeoutMs?: number): Promise<SlotStatus> {
    const over = ({ order }: SlotStatus) => order?.id === id && order.outcome !== "pending";
    return this.untilSlot(slot, `order ${id} is over`, over, timeoutMs);
  }

  // --- the bus

  async bus(): Promise<NatsConnection> {
    this.nc ??= await connect({ servers: this.options.nats, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const { nc } = this;
    // What is asked while it reconnects would be lost.
    const answers = () => Promise.race([nc.flush().then(() => true), sleep(200, false, { ref: false })]);
    await until("the test's own connection to the bus is up", answers);
    return nc;
  }

  async put(bucket: string, key: string, value: string): Promise<number> {
    const kv = await new Kvm(await this.bus()).open(bucket);
    // The agent that makes the bucket may have answered before it had.
    return until(`the bucket ${bucket} takes a value`, () => kv.put(key, value));
  }

  /** What a key holds, and the revision of its last write. */
  async entry(bucket: string, key: string): Promise<{ revision: number; text: string }> {
    const entry = await (await new Kvm(await this.bus()).open(bucket)).get(key);
    return { revision: entry?.revision ?? 0, text: entry?.string() ?? "" };
  }

  /** The slot's member of the serverset, or null. */
  async member(slot: string): Promise<Member | null> {
    const kv = await new Kvm(await this.bus()).open(buckets.serversets);
    const entry = await kv.get(keys.member("web", "prod", this.name, slot));
    return entry?.operation === "PUT" ? entry.json<Member>() : null;
  }

  /** Puts an order for a slot, as a controller would; returns its id. */
  async order(slot: string, order: Partial<Order> & Record<string, unknown>): Promise<string> {
    orders++;
    const whole = {
      id: `test-${process.pid}-${orders}`,
      epoch: orders,
      issuedBy: "test",
      issuedAt: new Date().toISOString(),
      ...order,
    };
    await this.put(buckets.orders, keys.order("web", this.name, slot), JSON.stringify(whole));
    return whole.id;
  }

  install(slot: string, release: Release, more: Record<string, unknown> = {}): Promise<string> {
    return this.order(slot, { action: "install", release, ...more });
  }

  uninstall(slot: string, version: string, more: Record<string, unknown> = {}): Promise<string> {
    return this.order(slot, { action: "uninstall", version, ...more });
  }

  /** Installs, and waits until the slot serves. */
  async installed(slot: string, release: Release, more: Record<string, unknown> = {}): Promise<SlotStatus> {
    const status = await this.untilOrder(slot, await this.install(slot, release, more));
    if (status.order?.outcome !== "done")
      throw new Error(`install was ${status.order?.outcome}: ${JSON.stringify(status.lastError)}\n${this.log()}`);
    return status;
  }

  /** GETs JSON from a slot's port, on a connection of its own. */
  async get<T = { version: string; pid: number; worker: string; env: Record<string, string> }>(
    slot: string,
    path = "/",
  ): Promise<T> {
    const answer = await fetch(this.url(slot, path), { headers: { connection: "close" } });
    return (await answer.json()) as T;
  }

  url(slot: string, path = "/"): string {
    return `http://${this.address.includes(":") ? `[${this.address}]` : this.address}:${this.ports[slot]}${path}`;
  }

  /** Where the slots are reached from this machine. */
  get address(): string {
    return { "0.0.0.0": "127.0.0.1", "::": "::1" }[this.bind] ?? this.bind;
  }

  /** Ends all that was started here, also after a failure, and removes the directory. */
  async close(): Promise<void> {
    await this.nc?.close();
    await this.endAgent("SIGKILL");
    // The workers outlive the agent: end them by the token that only they carry, and see that they are gone. What a
    // worker started without its environment is still at work in a release of this host.
    const left = () => [...leftProcesses(this.state), ...pidsAtWorkIn(this.directory)];
    const none = () => {
      for (const pid of left()) kill(pid);
      return left().length === 0;
    };
    try {
      await until(`no process of host ${this.name} is left`, none);
    } finally {
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  private call(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: this.socket, method, path, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.on("error", reject);
      });
      outgoing.on("error", reject);
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Ended since.
  }
}

/** The living processes that carry the token of an agent's state directory. */
export function leftProcesses(state: string): number[] {
  let token: string;
  try {
    token = readFileSync(join(state, "token"), "utf8").trim();
  } catch {
    return [];
  }
  return pidsWithEnvironment(`SLOTD_TOKEN=${token}`);
}

/** The living processes with these bytes in their environment. */
export function pidsWithEnvironment(needle: string): number[] {
  return livingPids((pid) => readFileSync(`/proc/${pid}/environ`).includes(needle));
}

/** The living processes whose working directory is below this one, also where it was removed since. */
export function pidsAtWorkIn(directory: string): number[] {
  return livingPids((pid) => readlinkSync(`/proc/${pid}/cwd`).startsWith(`${directory}/`));
}

function livingPids(fits: (pid: number) => boolean): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1")) && fits(pid);
      } catch {
        return false; // Gone, or another user's.
      }
    });
}

function merge(base: Settings, over: Settings): Settings {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const both = isTable(value) && isTable(merged[key]);
    if (value === undefined) delete merged[key];
    else merged[key] = both ? merge(merged[key] as Settings, value as Settings) : value;
  }
  return merged;
}

function isTable(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
