import { setTimeout as sleep } from "node:timers/promises";
import type { KvWatchEntry } from "@nats-io/kv";
import type { Logger } from "pino";
import { ListingCount } from "./bucket-info.ts";
import type { BusConnection } from "./connection.ts";
import { valueText } from "./value-text.ts";

const RETRY_MS = 500;
/** How often the bucket's leader is asked whether it is there, and is still the same bucket. */
const CHECK_MS = 2_000;
/** A listing in which no further key comes for so long is begun again. */
const LISTING_MS = 5_000;

/** A write that was heard: a value, or null for a deletion. */
export interface Heard {
  key: string;
  revision: number;
  text: string | null;
}

/** Receives what a bucket holds. */
export interface BucketReader {
  /**
   * A listing begins: of each key the last write, in the order of their revisions.
   * @param bucketId tells a bucket from one of the same name that was made in its place
   */
  begin(bucketId: string): void;
  take(heard: Heard): void;
  /** The listing is whole; what is taken from now on is news. */
  listed(): void;
  /** Whether the bucket is there and can be written to: without that, silence says nothing about who is alive. */
  present(present: boolean): void;
}

/**
 * Watches keys of a bucket, for ever, and passes on every write in the order of the revisions. A watch that ends, that
 * was interrupted, whose bucket was replaced, or on which nothing was heard for long is begun again with a listing.
 * This needs a JetStream consumer, which the server can afford for the few edges: they have to know which revision they
 * have seen, so that they can acknowledge it. The many agents follow a key or two each with `KeyFollower`, without a
 * consumer.
 */
export class BucketWatch {
  private readonly stopped = new AbortController();
  private isPresent = false;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly bus: BusConnection,
    private readonly bucket: string,
    private readonly filter: string,
    private readonly reader: BucketReader,
    private readonly quietMs: number,
    private readonly log: Logger,
  ) {}

  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      // What is still under way when a session ends is abandoned with it.
      const session = new AbortController();
      try {
        await this.bus.whenUp(signal);
        await this.session(AbortSignal.any([signal, session.signal, this.bus.sessionSignal]));
      } catch (error) {
        if (signal.aborted) return;
        this.setPresent(false);
        this.log.debug({ err: error, bucket: this.bucket }, "watch ended; it is begun again");
      } finally {
        session.abort();
      }
      await sleep(RETRY_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
    }
  }

  /** One watch, from its listing to its end. @throws where it was interrupted */
  private async session(signal: AbortSignal): Promise<void> {
    const info = await this.bus.bucketInfo(this.bucket, this.filter);
    const { created } = info;
    const count = new ListingCount(this.bucket, info);
    const kv = await this.bus.whileUp(this.bus.kv(this.bucket));
    const entries = await this.bus.whileUp(kv.watch({ key: this.filter }));
    const heardOf = { at: performance.now(), revision: 0 };
    let isListed = false;
    const listed = () => {
      if (isListed) return;
      isListed = true;
      this.reader.listed();
      this.setPresent(true);
    };
    const end = () => entries.stop();
    signal.addEventListener("abort", end, { once: true });
    void this.untilReplaced(created, heardOf, () => isListed, signal).then(end, end);
    const quiet = setInterval(() => performance.now() - heardOf.at > this.quietMs && end(), this.quietMs / 4);
    // A key that is gone since they were counted would be waited for in vain: then they are counted again.
    const slow = setTimeout(() => !isListed && end(), LISTING_MS);
    try {
      this.reader.begin(created);
      if (count.isWhole) listed();
      for await (const entry of entries) {
        signal.throwIfAborted();
        heardOf.at = performance.now();
        heardOf.revision = entry.revision;
        this.reader.take(heard(entry));
        if (count.hear(entry.key)) slow.refresh();
        if (count.isWhole) listed();
      }
      signal.throwIfAborted();
    } finally {
      clearInterval(quiet);
      clearTimeout(slow);
      signal.removeEventListener("abort", end);
      end();
    }
  }

  /** Keeps asking whether the bucket is there. Resolves when it is no longer the bucket of this session. */
  private async untilReplaced(
    created: string,
    heardOf: Readonly<{ revision: number }>,
    isListed: () => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      await sleep(CHECK_MS, undefined, { signal });
      try {
        // What is heard until the answer is here may be newer than the answer.
        const { revision } = heardOf;
        const info = await this.bus.bucketInfo(this.bucket);
        if (info.created !== created || info.state.last_seq < revision) return;
        if (isListed()) this.setPresent(true);
      } catch (error) {
        signal.throwIfAborted();
        this.log.debug({ err: error, bucket: this.bucket }, "bucket's leader did not answer");
        this.setPresent(false);
      }
    }
  }

  private setPresent(present: boolean): void {
    if (present === this.isPresent) return;
    this.isPresent = present;
    this.reader.present(present);
  }
}

function heard({ bucket, key, revision, operation, value }: KvWatchEntry): Heard {
  return { key, revision, text: operation === "PUT" ? valueText(bucket, value) : null };
}
