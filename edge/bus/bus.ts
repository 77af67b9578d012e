import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type JetStreamClient, type JetStreamManager, jetstream, type StreamInfo } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Logger } from "pino";
import { loginOptions } from "../../bus/login.ts";
import { abortable } from "../../daemon/abortable.ts";
import { redact } from "../../protocol/errors.ts";
import type { EdgeConfig } from "../config/schema.ts";
import { createMissing } from "./create-missing.ts";

const RETRY_MS = 500;
/** A dead peer is noticed after two of these. */
const PING_MS = 2_000;
const REQUEST_TIMEOUT_MS = 3_000;
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

interface BusEvents {
  /** Connected, and the buckets that an edge needs exist. Comes again after every reconnection. */
  up: [];
  down: [];
}

/** The connection to NATS. It is tried for ever; the edge starts, and routes, without it. */
export class Bus extends EventEmitter<BusEvents> {
  connected = false;
  error: string | null = "not connected yet";
  private nc: NatsConnection | undefined;
  private js: JetStreamClient | undefined;
  private kvm: Kvm | undefined;
  private manager: JetStreamManager | undefined;
  private settingUp = false;
  private session = new AbortController();
  private readonly stopped = new AbortController();

  constructor(
    private readonly config: EdgeConfig["nats"],
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

  /** JetStream, where the bus is up. @throws where it is not. */
  get jetstream(): JetStreamClient {
    if (!this.connected || !this.js) throw new Error(`the bus is away: ${this.error}`);
    return this.js;
  }

  /** The most bytes that the server takes as one message. */
  get maxPayload(): number {
    return this.nc?.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
  }

  /** A bucket, where the bus is up. @throws where it is not. */
  async kv(bucket: string): Promise<KV> {
    if (!this.connected || !this.kvm) throw new Error(`the bus is away: ${this.error}`);
    return this.kvm.open(bucket);
  }

  /**
   * What the leader of a bucket's stream says of it. Only a leader with a quorum answers.
   * @param filter keys to count, as `state.subjects`
   * @throws where there is no answer
   */
  async bucketInfo(bucket: string, filter?: string): Promise<StreamInfo> {
    if (!this.connected || !this.manager) throw new Error(`the bus is away: ${this.error}`);
    const asked = filter === undefined ? undefined : { subjects_filter: `$KV.${bucket}.${filter}` };
    return this.whileUp(this.manager.streams.info(`KV_${bucket}`, asked));
  }

  /** A promise that is given up when the bus goes away: an answer that was on its way will not come. */
  whileUp<T>(promise: Promise<T>): Promise<T> {
    return abortable(promise, this.session.signal);
  }

  /** Aborted when this connection is lost. */
  get sessionSignal(): AbortSignal {
    return this.session.signal;
  }

  /** Resolves when the bus is up, or rejects with the signal's reason. */
  async whenUp(signal: AbortSignal): Promise<void> {
    while (!this.connected) await once(this, "up", { signal });
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    this.session.abort(new Error("the edge ends"));
    const { nc } = this;
    if (!nc) return;
    // Flushes what was published; a bus that is away must not hold the edge's end.
    await Promise.race([nc.drain(), sleep(1_000, undefined, { ref: false })]).catch(() => {});
    await nc.close().catch(() => {});
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted && !this.nc) {
      try {
        this.nc = await connect({
          ...loginOptions(this.config),
          name: this.name,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 250,
          reconnectJitter: 250,
          timeout: 3_000,
          pingInterval: PING_MS,
          ignoreAuthErrorAbort: true,
        });
      } catch (error) {
        this.setDown(describe(error));
        await sleep(RETRY_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      }
    }
    const { nc } = this;
    if (!nc) return;
    if (signal.aborted) return void nc.close();
    this.js = jetstream(nc, { timeout: REQUEST_TIMEOUT_MS });
    this.kvm = new Kvm(this.js);
    void this.setUp(nc);
    for await (const status of nc.status()) {
      if (status.type === "disconnect") this.setDown("the connection was lost");
      else if (status.type === "reconnect") void this.setUp(nc);
      else if (status.type === "error") this.log.warn({ err: status.error }, "bus reported an error");
    }
  }

  /** Makes sure that the buckets are there, as long as it takes, and only then says that the bus is up. */
  private async setUp(nc: NatsConnection): Promise<void> {
    if (this.settingUp) return;
    this.settingUp = true;
    const { signal } = this.stopped;
    while (!signal.aborted && !nc.isClosed()) {
      try {
        const js = this.js as JetStreamClient;
        this.manager = await js.jetstreamManager();
        await createMissing(this.manager, this.kvm as Kvm, this.config.replicas, this.log);
        this.setUpDone();
        break;
      } catch (error) {
        this.setDown(describe(error));
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
    this.settingUp = false;
  }

  private setUpDone(): void {
    if (this.session.signal.aborted && !this.stopped.signal.aborted) this.session = new AbortController();
    this.connected = true;
    this.error = null;
    this.log.info({ server: redact(this.nc?.getServer() ?? "") }, "bus connected");
    this.emit("up");
  }

  private setDown(error: string): void {
    const news = this.connected || this.error !== error;
    this.connected = false;
    this.session.abort(new Error(error));
    this.error = error;
    if (news) this.log.warn({ error }, "bus is away");
    this.emit("down");
  }
}

function describe(error: unknown): string {
  return redact(error instanceof Error ? error.message : String(error)).split("\n")[0] as string;
}
