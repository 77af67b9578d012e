import { setTimeout as sleep } from "node:timers/promises";
import type { JetStreamClient } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/transport-node";

const RETRY_MS = 100;

/** Brings the latest value of each key to its bucket, however often the bus has to be asked. */
export class KeyWriter {
  private readonly wanted = new Map<string, string | null>();
  private readonly writing = new Set<string>();
  private stopped = false;

  constructor(
    private readonly nc: NatsConnection,
    private readonly js: JetStreamClient,
  ) {}

  /** Null takes the key out. */
  write(bucket: string, key: string, value: string | null): void {
    const subject = `$KV.${bucket}.${key}`;
    this.wanted.set(subject, value);
    if (this.writing.has(subject)) return;
    this.writing.add(subject);
    void this.drain(subject);
  }

  /** A value that will be written again soon: nobody waits for it to be stored. */
  repeat(bucket: string, key: string, value: string): void {
    const subject = `$KV.${bucket}.${key}`;
    if (!this.writing.has(subject) && !this.nc.isClosed()) this.nc.publish(subject, value);
  }

  stop(): void {
    this.stopped = true;
  }

  private async drain(subject: string): Promise<void> {
    for (;;) {
      const value = this.wanted.get(subject);
      if (value === undefined || this.stopped) break;
      this.wanted.delete(subject);
      const done = await this.put(subject, value);
      if (!done && !this.wanted.has(subject)) this.wanted.set(subject, value);
      // The bus is away: it is asked again and again.
      if (!done) await sleep(RETRY_MS);
    }
    this.writing.delete(subject);
  }

  private async put(subject: string, value: string | null): Promise<boolean> {
    const options = value === null ? { headers: headers() } : {};
    options.headers?.set("KV-Operation", "DEL");
    return this.js.publish(subject, value ?? "", { ...options, timeout: 2000 }).then(
      () => true,
      () => false,
    );
  }
}
