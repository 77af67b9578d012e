import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { JetStreamClient } from "@nats-io/jetstream";
import type { KV, Kvm } from "@nats-io/kv";
import type { ConnectionOptions, NatsConnection } from "@nats-io/transport-node";
import type { Logger } from "pino";
import type { Config } from "../agent/config/schema.ts";
import { abortable } from "../daemon/abortable.ts";
import { redact } from "../protocol/errors.ts";

const RETRY_MS = 1_000;
/** What serves is looked at first: loading the client keeps the agent busy for a moment. */
const DELAY_MS = 100;
/** A dead peer is noticed after two of these. */
const PING_MS = 5_000;
const REQUEST_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

interface BusEvents {
  /** Connected, and everything that the agent uses there exists. Comes again after every reconnection. */
  up: [];
  down: [];
}

/** The connection to NATS. It is tried for ever; the agent starts, and serves, without it. */
export class Bus extends EventEmitter<BusEvents> {
  connected = false;
  since = new Date().toISOString();
  error: string | null = "not connected yet";
  private nc: NatsConnection | undefined;
  private js: JetStreamClient | undefined;
  private kvm: Kvm | undefined;
  private readonly opened = new Map<string, Promise<KV>>();
  private readonly stopped = new AbortController();
  private settingUp = false;
  private session = new AbortController();

  constructor(
    private readonly config: Config["nats"],
    private readonly name: string,
    private readonly log: Logger,
  ) {
    super();
    this.setMaxListeners(0);
  }

  /** Starts to connect, and returns at once. */
  start(): void {
    void this.run();
  }

  /** The server that the agent is connected to, without credentials. */
  get server(): string | null {
    return this.connected && this.nc ? redact(this.nc.getServer()) : null;
  }

  /** The connection, for subscriptions: these survive reconnections. Null before the first connection. */
  get connection(): NatsConnection | null {
    return this.nc ?? null;
  }

  /** The most bytes that the server takes as one message. */
  get maxPayload(): number {
    return this.nc?.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
  }

  /** JetStream, where the bus is up. @throws where it is not. */
  get jetstream(): JetStreamClient {
    if (!this.connected || !this.js) throw new Error(`the bus is away: ${this.error}`);
    return this.js;
  }

  /** A bucket, where the bus is up. @throws where it is not. */
  kv(bucket: string): Promise<KV> {
    if (!this.connected || !this.kvm) throw new Error(`the bus is away: ${this.error}`);
    const kvm = this.kvm;
    let kv = this.opened.get(bucket);
    if (!kv) {
      kv = kvm.open(bucket);
      kv.catch(() => this.opened.delete(bucket));
      this.opened.set(bucket, kv);
    }
    return kv;
  }

  /** A promise that is given up when the bus goes away: an answer that was on its way will not come. */
  whileUp<T>(promise: Promise<T>): Promise<T> {
    return abortable(promise, this.session.signal);
  }

  /** Resolves when the bus is up, or rejects with the signal's reason. */
  async whenUp(signal: AbortSignal): Promise<void> {
    while (!this.connected) await once(this, "up", { signal });
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    const nc = this.nc;
    if (!nc) return;
    // Flushes what was published; a bus that is away must not hold the agent's end.
    await Promise.race([nc.drain(), sleep(1_000, undefined, { ref: false })]).catch(() => {});
    await nc.close().catch(() => {});
  }

  private async run(): Promise<void> {
    await sleep(DELAY_MS, undefined, { signal: this.stopped.signal }).catch(() => {});
    const { connect, jetstream, Kvm } = await import("./client.ts");
    while (!this.stopped.signal.aborted) {
      try {
        this.nc = await connect(await this.options());
        break;
      } catch (error) {
        this.setDown(describe(error));
        await sleep(RETRY_MS * (0.5 + Math.random()), undefined, { signal: this.stopped.signal, ref: false }).catch(
          () => {},
        );
      }
    }
    const nc = this.nc;
    if (!nc) return;
    if (this.stopped.signal.aborted) return void nc.close();
    this.js = jetstream(nc, { timeout: REQUEST_TIMEOUT_MS });
    this.kvm = new Kvm(this.js);
    void this.setUp();
    for await (const status of nc.status()) {
      if (status.type === "disconnect") this.setDown("the connection was lost");
      else if (status.type === "reconnect") void this.setUp();
      else if (status.type === "error") this.log.warn({ err: status.error }, "bus reported an error");
    }
  }

  /** Makes sure that buckets, store and stream are there, as long as it takes, and only then says that the bus is up. */
  private async setUp(): Promise<void> {
    if (this.settingUp) return;
    this.settingUp = true;
    try {
      while (!this.stopped.signal.aborted && this.nc && !this.nc.isClosed()) {
        try {
          const { createMissing } = await import("./client.ts");
          await createMissing(this.nc, this.js as JetStreamClient, this.config.replicas, this.log);
          return this.setUpDone();
        } catch (error) {
          this.setDown(describe(error));
          await sleep(RETRY_MS, undefined, { signal: this.stopped.signal, ref: false }).catch(() => {});
        }
      }
    } finally {
      this.settingUp = false;
    }
  }

  private setUpDone(): void {
    if (!this.connected) this.since = new Date().toISOString();
    if (this.session.signal.aborted) this.session = new AbortController();
    this.connected = true;
    this.error = null;
    this.log.info({ server: this.server }, "bus connected");
    this.emit("up");
  }

  private setDown(error: string): void {
    if (this.connected) this.since = new Date().toISOString();
    const news = this.connected || this.error !== error;
    this.connected = false;
    this.session.abort(new Error(error));
    this.error = error;
    if (news) this.log.warn({ error }, "bus is away");
    this.emit("down");
  }

  private async options(): Promise<ConnectionOptions> {
    const { loginOptions } = await import("./client.ts");
    return {
      ...loginOptions(this.config),
      name: this.name,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 500,
      timeout: 3_000,
      pingInterval: PING_MS,
      ignoreAuthErrorAbort: true,
    };
  }
}

function describe(error: unknown): string {
  return redact(error instanceof Error ? error.message : String(error)).split("\n")[0] as string;
}
