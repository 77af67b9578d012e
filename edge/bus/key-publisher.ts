import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Bus } from "./bus.ts";

const RETRY_MS = 250;

/** Keeps one key at the newest value that it was given: tried again while the bus is away or does not take it; what is overtaken is not written. */
export class KeyPublisher {
  /** When a value was last stored, on the monotonic clock. */
  storedAt = Number.NEGATIVE_INFINITY;
  private value: string | undefined;
  private writing = false;
  private readonly stopped = new AbortController();

  constructor(
    private readonly bus: Bus,
    private readonly bucket: string,
    readonly key: string,
    private readonly log: Logger,
  ) {
    bus.on("up", this.onUp);
  }

  /** Writing goes on in the background. */
  set(value: string): void {
    this.value = value;
    void this.write();
  }

  /** What is not written by now is not written at all. */
  stop(): void {
    this.stopped.abort();
    this.bus.off("up", this.onUp);
  }

  private readonly onUp = (): void => void this.write();

  private async write(): Promise<void> {
    if (this.writing) return;
    this.writing = true;
    const { signal } = this.stopped;
    while (this.value !== undefined && this.bus.connected && !signal.aborted) {
      const { value } = this;
      try {
        const kv = await this.bus.whileUp(this.bus.kv(this.bucket));
        await this.bus.whileUp(kv.put(this.key, value));
        this.storedAt = performance.now();
        if (this.value === value) this.value = undefined;
      } catch (error) {
        this.log.debug({ err: error, key: this.key }, "bus did not take a value; trying again");
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
    this.writing = false;
  }
}
