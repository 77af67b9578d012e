import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { JetStreamClient, JetStreamManager, StreamInfo } from "@nats-io/jetstream";
import type { KV, Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Logger } from "pino";
import { abortable, sharedAbort } from "../daemon/abortable.ts";
import { redact } from "../protocol/errors.ts";
import { bucketInfo, keysIn } from "./bucket-info.ts";
import type { Kept } from "./kept.ts";
import { listenToKeys, type PutListener } from "./listen.ts";
import type { Login } from "./login-rules.ts";
import { reasonOf } from "./reason.ts";
import { valueText } from "./value-text.ts";

const CONNECT_TIMEOUT_MS = 3_000;
const RECONNECT_MS = 250;
/** Publishing what is on its way must not hold a daemon's end for longer. */
const DRAIN_MS = 1_000;
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

/** What one daemon does otherwise than another. Times in milliseconds. */
export interface ConnectionTraits {
  /** What the daemon uses on the bus; created where it is missing. */
  needs: readonly Kept[];
  /**
   * Before the client is loaded: that keeps the daemon busy for a moment, and it may have something more urgent to do.
   */
  delayMs: number;
  retryMs: number;
  /** Spread over this time, so that all daemons do not reconnect at once. */
  reconnectJitterMs: number;
  /** A dead peer is noticed after two of these. */
  pingMs: number;
  requestTimeoutMs: number;
}

export type DaemonLogin = Login & { replicas: number };

/** A key's value, or null for a deletion. */
export interface Value {
  revision: number;
  text: string | null;
}

interface ConnectionEvents {
  /** Connected, and everything that the daemon needs there exists. Emitted again after every reconnection. */
  up: [];
  down: [];
}

/** A daemon's connection to NATS. It is tried for ever; the daemon starts, and serves, without it. */
export class BusConnection extends EventEmitter<ConnectionEvents> {
  connected = false;
  since = new Date().toISOString();
  error: string | null = "not connected yet";
  private nc: NatsConnection | undefined;
  private js: JetStreamClient | undefined;
  private jsm: JetStreamManager | undefined;
  private kvm: Kvm | undefined;
  private readonly opened = new Map<string, Promise<KV>>();
  private readonly stopped = new AbortController();
  private settingUp = false;
  private session = sharedAbort();

  constructor(
    private readonly login: DaemonLogin,
    private readonly name: string,
    private readonly traits: ConnectionTraits,
    private readonly log: Logger,
  ) {
    super();
    this.setMaxListeners(0);
  }

  /** Starts to connect, and returns at once. */
  start(): void {
    void this.run();
  }

  /** The server that the daemon is connected to, without credentials. */
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
    if (!this.connected || !this.js) throw this.away();
    return this.js;
  }

  /** A bucket, where the bus is up. @throws where it is not. */
  async kv(bucket: string): Promise<KV> {
    if (!this.connected || !this.kvm) throw this.away();
    const { kvm } = this;
    let kv = this.opened.get(bucket);
    if (!kv) {
      kv = kvm.open(bucket);
      kv.catch(() => this.opened.delete(bucket));
      this.opened.set(bucket, kv);
    }
    return kv;
  }

  /** What a key holds, with null for a deletion; null where it was never written. @throws where the bus is away */
  async read(bucket: string, key: string): Promise<Value | null> {
    const entry = await (await this.kv(bucket)).get(key);
    if (!entry) return null;
    const { revision, operation, value } = entry;
    return { revision, text: operation === "PUT" ? valueText(bucket, value) : null };
  }

  /**
   * What the leader of a bucket's stream says of it. Only a leader with a quorum answers.
   * @param filter keys to count, as `state.subjects`
   * @throws where there is no answer
   */
  async bucketInfo(bucket: string, filter?: string): Promise<StreamInfo> {
    if (!this.connected || !this.jsm) throw this.away();
    return this.whileUp(bucketInfo(this.jsm, bucket, filter));
  }

  /**
   * The keys of a bucket that match a filter, by the stream's own list of subjects: a listing of values would need a
   * consumer.
   */
  async keys(bucket: string, filter: string): Promise<string[]> {
    return keysIn(bucket, await this.bucketInfo(bucket, filter));
  }

  /**
   * Calls back with puts into a bucket, also after reconnections. @returns what ends that; null before the first
   * connection
   */
  listen(bucket: string, filter: string, listener: PutListener): (() => void) | null {
    return this.nc ? listenToKeys(this.nc, bucket, filter, listener) : null;
  }

  /** A promise that is abandoned when the bus goes away: an answer that was on its way will not come. */
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
    const { nc } = this;
    // Flushes what was published; a bus that is away must not hold the daemon's end.
    if (nc) await Promise.race([nc.drain(), sleep(DRAIN_MS, undefined, { ref: false })]).catch(() => {});
    this.session.abort(new Error("the daemon ends"));
    await nc?.close().catch(() => {});
  }

  private async run(): Promise<void> {
    await this.pause(this.traits.delayMs);
    const nc = await this.connect();
    if (!nc) return;
    if (this.stopped.signal.aborted) return void nc.close();
    const { jetstream, Kvm } = await import("./client.ts");
    this.js = jetstream(nc, { timeout: this.traits.requestTimeoutMs });
    this.kvm = new Kvm(this.js);
    void this.setUp(nc, this.js);
    for await (const status of nc.status()) {
      if (status.type === "disconnect") this.setDown("the connection was lost");
      else if (status.type === "reconnect") void this.setUp(nc, this.js);
      else if (status.type === "error") this.log.warn({ err: status.error }, "bus reported an error");
    }
  }

  /** The first connection, tried until there is one, or the daemon ends. */
  private async connect(): Promise<NatsConnection | undefined> {
    const { connect, loginOptions } = await import("./client.ts");
    while (!this.stopped.signal.aborted) {
      try {
        this.nc = await connect({
          ...loginOptions(this.login),
          name: this.name,
          maxReconnectAttempts: -1,
          reconnectTimeWait: RECONNECT_MS,
          reconnectJitter: this.traits.reconnectJitterMs,
          reconnectJitterTLS: this.traits.reconnectJitterMs,
          timeout: CONNECT_TIMEOUT_MS,
          pingInterval: this.traits.pingMs,
          ignoreAuthErrorAbort: true,
        });
        return this.nc;
      } catch (error) {
        this.setDown(reasonOf(error));
        await this.pause(this.traits.retryMs * (0.5 + Math.random()));
      }
    }
    return undefined;
  }

  /** Makes sure that what the daemon needs is there, as long as it takes, and only then says that the bus is up. */
  private async setUp(nc: NatsConnection, js: JetStreamClient): Promise<void> {
    if (this.settingUp) return;
    this.settingUp = true;
    const { createMissing } = await import("./client.ts");
    const { replicas } = this.login;
    const onCreated = (stream: string) => this.log.info({ stream }, "stream created on the bus");
    while (!this.stopped.signal.aborted && !nc.isClosed()) {
      try {
        this.jsm = await js.jetstreamManager();
        await createMissing(js, this.jsm, this.traits.needs, { replicas, onCreated });
        this.setUpDone();
        break;
      } catch (error) {
        this.setDown(reasonOf(error));
        await this.pause(this.traits.retryMs);
      }
    }
    this.settingUp = false;
  }

  private setUpDone(): void {
    if (!this.connected) this.since = new Date().toISOString();
    if (this.session.signal.aborted && !this.stopped.signal.aborted) this.session = sharedAbort();
    this.opened.clear();
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

  private away(): Error {
    return new Error(`the bus is away: ${this.error}`);
  }

  /** Ends early with the daemon. */
  private pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.stopped.signal, ref: false }).catch(() => {});
  }
}
