import type { Logger } from "pino";
import type { PutListener } from "./listen.ts";

/**
 * The keys are read again this often, whatever was heard; give or take a tenth, so that hosts do not all ask at once.
 */
const REREAD_MS = 60_000;
/** How long a read may take while a caller waits for it. */
const READ_MS = 1_000;

/** What it takes of a bus to follow keys. */
export interface FollowedBus {
  readonly connected: boolean;
  listen(bucket: string, filter: string, listener: PutListener): (() => void) | null;
  whileUp<T>(promise: Promise<T>): Promise<T>;
  on(event: "up", listener: () => void): unknown;
  off(event: "up", listener: () => void): unknown;
}

export interface KeyReader {
  /** A put was heard, or with null a deletion: a hint, since the stream may have refused it. */
  onPut(key: string, text: string | null): void;
  /** Reads what the bucket holds. */
  read(): Promise<void>;
}

/**
 * Follows the keys of a bucket that match a filter: a plain subscription hints that there is something to read, and the
 * keys are read on every connection and every minute. A hint is not the value, because subscribers also hear a put that
 * the stream refuses (compare-and-set). This needs no JetStream consumer, which matters where thousands of hosts follow
 * a key or two each. Whoever has to see every write of many keys, in order, uses `BucketWatch` instead: that costs a
 * consumer, and there are only a few edges.
 */
export class KeyFollower {
  private timer: NodeJS.Timeout | undefined;
  private unlisten: (() => void) | null = null;
  private reading: Promise<void> | null = null;
  private next: Promise<void> | null = null;

  constructor(
    private readonly bus: FollowedBus,
    private readonly bucket: string,
    private readonly filter: string,
    private readonly reader: KeyReader,
    private readonly log: Pick<Logger, "debug" | "warn">,
  ) {}

  /** Listens from now on, and reads when the bus comes up. Where it is up already, the caller reads first. */
  start(): void {
    this.bus.on("up", this.onUp);
    this.timer = setInterval(() => void this.refresh(), REREAD_MS * (0.9 + Math.random() * 0.2));
    if (this.bus.connected) this.listen();
  }

  stop(): void {
    this.bus.off("up", this.onUp);
    clearInterval(this.timer);
    this.unlisten?.();
    this.unlisten = null;
  }

  /**
   * Reads now, where the bus is up, within a bound. What could not be read stays as it was known. Reads never overlap:
   * all who ask during one share the next, since that one may have missed what they heard of.
   */
  refresh(): Promise<void> {
    if (!this.bus.connected) return Promise.resolve();
    if (!this.reading) {
      this.reading = this.readOnce().finally(() => {
        this.reading = null;
      });
      return this.reading;
    }
    this.next ??= this.reading.then(() => {
      this.next = null;
      return this.refresh();
    });
    return this.next;
  }

  private async readOnce(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not read within ${READ_MS} ms`)), READ_MS);
    });
    try {
      await Promise.race([this.bus.whileUp(this.reader.read()), late]);
    } catch (err) {
      this.log.debug({ err, bucket: this.bucket }, "bucket could not be read");
    } finally {
      clearTimeout(timer);
    }
  }

  private listen(): void {
    this.unlisten ??= this.bus.listen(this.bucket, this.filter, {
      onPut: (key, text) => this.reader.onPut(key, text),
      onError: (err) => this.log.warn({ err, bucket: this.bucket }, "bucket can't be followed"),
    });
  }

  private readonly onUp = (): void => {
    this.listen();
    void this.refresh();
  };
}
