import { setTimeout as sleep } from "node:timers/promises";
import type { KV } from "@nats-io/kv";
import type { Logger } from "pino";
import { valueText } from "./value-text.ts";

const RETRY_MS = 250;

/** What it takes of a bus to keep a key. */
interface PublishingBus {
  readonly connected: boolean;
  kv(bucket: string): Promise<KV>;
  whileUp<T>(promise: Promise<T>): Promise<T>;
  on(event: "up", listener: () => void): unknown;
  off(event: "up", listener: () => void): unknown;
}

export interface KeyPublisherOptions {
  /** Write an unchanged value again this often; by default the caller changes it often enough. */
  heartbeatMs?: number;
  /** Called with a value that someone else has written over this publisher's, before that is written over in turn. */
  onForeign?(text: string): void;
}

/** JetStream's code where a key has another revision than the expected one. */
const WRONG_REVISION = 10071;

/**
 * Keeps one key of a bucket at the value that it should have: writes on change and as a heartbeat, again and again
 * while the bus is away or does not take it, and only the newest value.
 */
export class KeyPublisher {
  /** Undefined: nothing was decided yet, and what stands there is left alone. Null: no such key. */
  private desired: string | null | undefined;
  private generation = 0;
  private storedGeneration = 0;
  /** KV revision of the last value, or deletion, that was stored; 0 before the first. */
  revision = 0;
  /** When a value, or a deletion, was last stored, on the monotonic clock. */
  storedAt = Number.NEGATIVE_INFINITY;
  private waiters: { generation: number; resolve(): void }[] = [];
  private writing = false;
  private heartbeat: NodeJS.Timeout | undefined;
  private readonly stopped = new AbortController();
  private readonly onForeign: KeyPublisherOptions["onForeign"];

  constructor(
    private readonly bus: PublishingBus,
    private readonly bucket: string,
    readonly key: string,
    private readonly log: Logger,
    { heartbeatMs, onForeign }: KeyPublisherOptions = {},
  ) {
    this.onForeign = onForeign;
    if (heartbeatMs !== undefined) {
      this.heartbeat = setInterval(() => {
        if (typeof this.desired === "string") this.touch();
      }, heartbeatMs);
    }
    bus.on("up", this.touch);
  }

  /** Sets the value. Writing it goes on in the background. */
  set(value: string | null): void {
    if (value === this.desired) return;
    this.desired = value;
    this.touch();
  }

  /** Resolves with the KV revision when the value of now, or a later one, is stored. */
  async stored(signal: AbortSignal): Promise<number> {
    const generation = this.generation;
    while (this.storedGeneration < generation) {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        const onAbort = () => reject(signal.reason);
        signal.addEventListener("abort", onAbort, { once: true });
        this.waiters.push({
          generation,
          resolve: () => {
            signal.removeEventListener("abort", onAbort);
            resolve();
          },
        });
      });
    }
    return this.revision;
  }

  stop(): void {
    this.stopped.abort();
    clearInterval(this.heartbeat);
    this.bus.off("up", this.touch);
  }

  private readonly touch = (): void => {
    if (this.desired === undefined) return;
    this.generation++;
    void this.write();
  };

  private async write(): Promise<void> {
    if (this.writing) return;
    this.writing = true;
    try {
      while (this.storedGeneration < this.generation && !this.stopped.signal.aborted) {
        if (!this.bus.connected) return; // "up" comes back here.
        const generation = this.generation;
        try {
          this.revision = await this.bus.whileUp(this.store(this.desired ?? null));
          this.storedGeneration = generation;
          this.storedAt = performance.now();
          this.release();
        } catch (error) {
          this.log.debug({ err: error, key: this.key }, "bus did not take a value; trying again");
          await sleep(RETRY_MS, undefined, { signal: this.stopped.signal, ref: false }).catch(() => {});
        }
      }
    } finally {
      this.writing = false;
    }
  }

  /** Returns the revision with which readers of the bucket know of it: a deletion has one as well. */
  private async store(value: string | null): Promise<number> {
    const kv = await this.bus.kv(this.bucket);
    if (value !== null) return this.onForeign ? this.putOver(kv, value) : kv.put(this.key, value);
    const there = await kv.get(this.key);
    if (there?.operation === "PUT") await kv.delete(this.key);
    return (await kv.get(this.key))?.revision ?? this.revision;
  }

  /** Puts a value over the last one of this publisher. What was there before its first is its predecessor's. */
  private async putOver(kv: KV, value: string): Promise<number> {
    if (this.revision === 0) return kv.put(this.key, value);
    try {
      return await kv.update(this.key, value, this.revision);
    } catch (error) {
      if ((error as { code?: unknown }).code !== WRONG_REVISION) throw error;
    }
    // Someone else wrote; or the bucket is a new one, or an acknowledgement of our own was lost.
    const there = await kv.get(this.key);
    if (there?.operation === "PUT") this.onForeign?.(valueText(this.bucket, there.value));
    return kv.put(this.key, value);
  }

  private release(): void {
    const due = this.waiters.filter((waiter) => waiter.generation <= this.storedGeneration);
    this.waiters = this.waiters.filter((waiter) => waiter.generation > this.storedGeneration);
    for (const waiter of due) waiter.resolve();
  }
}
