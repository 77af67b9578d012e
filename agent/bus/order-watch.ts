import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Bus } from "../../bus/connection.ts";
import { buckets, keys, subjects } from "../../protocol/subjects.ts";

/** The last values are read again this often, whatever was heard. */
const REREAD_MS = 60_000;
/** After a hint a replica may still answer with the value before. */
const LATE_MS = [50, 250, 1_000];
/** An order that could not be taken is brought again after this long, and then ever more seldom. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/** What was brought of a slot's orders. */
interface Brought {
  revision: number;
  text: string | null;
  failures: number;
  retry: NodeJS.Timeout | undefined;
}

/**
 * Brings each slot's last order. A put into the bucket is an ordinary message, which is taken as a hint only: it may be one that the
 * stream refused, and has no revision. The value is then read, so that no consumer per host is needed, which matters at thousands of hosts.
 */
export class OrderWatch {
  private readonly brought: ReadonlyMap<string, Brought>;
  private timer: NodeJS.Timeout | undefined;
  private subscribed = false;
  private sessions = 0;
  private stopped = false;

  constructor(
    private readonly bus: Bus,
    private readonly service: string,
    private readonly host: string,
    slots: readonly string[],
    /** Throws where the order could not be taken down; it is then brought again. */
    private readonly onOrder: (slot: string, text: string) => void,
    /** Brings up to date what an order is judged by: it may come right after a change of that. Never rejects. */
    private readonly refresh: () => Promise<void>,
    private readonly log: Logger,
  ) {
    this.brought = new Map(slots.map((slot) => [slot, { revision: 0, text: null, failures: 0, retry: undefined }]));
  }

  start(): void {
    this.bus.on("up", () => this.onUp());
    this.timer = setInterval(() => this.readAll(), REREAD_MS);
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
    for (const { retry } of this.brought.values()) clearTimeout(retry);
  }

  private onUp(): void {
    if (!this.subscribed && this.bus.connection) {
      this.subscribed = true;
      this.bus.connection.subscribe(subjects.orderPuts(this.service, this.host), {
        callback: (_error, message) => {
          const slot = message.subject.split(".").at(-1) as string;
          if (this.brought.has(slot)) void this.readNewer(slot);
        },
      });
    }
    // The bucket may be another one than before, with revisions that begin anew.
    this.sessions++;
    for (const brought of this.brought.values()) brought.revision = 0;
    this.readAll();
  }

  private readAll(): void {
    if (this.bus.connected) for (const slot of this.brought.keys()) void this.read(slot);
  }

  private async readNewer(slot: string): Promise<void> {
    for (const wait of LATE_MS) {
      if ((await this.read(slot)) !== "nothing new") return;
      await sleep(wait, undefined, { ref: false });
    }
    await this.read(slot);
  }

  /** Brings the slot's order if it was not brought yet. */
  private async read(slot: string): Promise<"brought" | "nothing new" | "failed"> {
    const brought = this.brought.get(slot) as Brought;
    const session = this.sessions;
    try {
      const kv = await this.bus.kv(buckets.orders);
      const entry = await kv.get(keys.order(this.service, this.host, slot));
      if (entry?.operation !== "PUT" || entry.revision <= brought.revision) return "nothing new";
      await this.refresh();
      // Another read may have been faster, with this order or a newer one.
      const late = session !== this.sessions || entry.revision <= brought.revision;
      if (this.stopped || late) return "nothing new";
      const text = entry.string();
      // After a reconnection: the order that was brought before it.
      const known = brought.revision === 0 && brought.text === text;
      this.log.debug({ slot, revision: entry.revision, known }, "order was read");
      if (!known) this.onOrder(slot, text);
      brought.revision = entry.revision;
      brought.text = text;
      brought.failures = 0;
      clearTimeout(brought.retry);
      return known ? "nothing new" : "brought";
    } catch (error) {
      this.log.warn({ err: error, slot }, "order could not be taken; it is read again");
      this.readLater(slot, brought);
      return "failed";
    }
  }

  private readLater(slot: string, brought: Brought): void {
    clearTimeout(brought.retry);
    if (this.stopped) return;
    const waitMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** brought.failures++);
    // Where the bus is away, its return brings the order.
    brought.retry = setTimeout(() => this.bus.connected && void this.read(slot), waitMs);
  }
}
