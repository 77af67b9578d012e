import type { Msg } from "@nats-io/transport-node";
import type { Logger } from "pino";
import { subjects } from "../protocol/subjects.ts";
import type { Bus } from "./connection.ts";

/** What is followed is read again this often, whatever was heard; give or take a tenth, so that hosts do not all ask at once. */
const REREAD_MS = 60_000;
/** How long a read may take that somebody waits for. */
const READ_MS = 1_000;

export interface BucketReader {
  /** A put or a deletion was heard: a message that the stream may have refused. */
  onPut(key: string, message: Msg): void;
  /** Reads what the bucket holds. */
  read(): Promise<void>;
}

/**
 * Follows the keys of a bucket that match a filter: by a plain subscription to the puts, and by reading on every connection and now and
 * then. It needs no JetStream consumer, which matters at thousands of hosts.
 */
export class BucketWatch {
  private timer: NodeJS.Timeout | undefined;
  private subscribed = false;

  constructor(
    private readonly bus: Bus,
    private readonly bucket: string,
    private readonly filter: string,
    private readonly reader: BucketReader,
    private readonly log: Logger,
  ) {}

  start(): void {
    this.bus.on("up", this.onUp);
    this.timer = setInterval(() => void this.refresh(), REREAD_MS * (0.9 + Math.random() * 0.2));
  }

  stop(): void {
    this.bus.off("up", this.onUp);
    clearInterval(this.timer);
  }

  /** Reads now, where the bus is up, for as long as somebody can be made to wait. What could not be read stays as it was known. */
  async refresh(): Promise<void> {
    if (!this.bus.connected) return;
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

  private readonly onUp = (): void => {
    if (!this.subscribed && this.bus.connection) {
      this.subscribed = true;
      const prefix = subjects.puts(this.bucket, "").length;
      this.bus.connection.subscribe(subjects.puts(this.bucket, this.filter), {
        callback: (error, message) => {
          if (error) this.log.warn({ err: error, bucket: this.bucket }, "bucket can't be followed");
          else this.reader.onPut(message.subject.slice(prefix), message);
        },
      });
    }
    void this.refresh();
  };
}
