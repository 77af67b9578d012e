import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { BusConnection } from "../../bus/connection.ts";
import { KeyFollower } from "../../bus/follow-keys.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { OrderSource } from "../slots/order-source.ts";

/** After a hint a replica may still answer with the value before. */
const LATE_MS = [50, 250, 1_000];
/** However many puts are heard, a slot's order is read this often at most. */
const GAP_MS = 100;
/** Retry delay bounds for an order that could not be journalled; the delay doubles. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/** The last order that was delivered for a slot. */
interface Brought {
  revision: number;
  text: string | null;
  failures: number;
  retry: NodeJS.Timeout | undefined;
  /** Puts that were heard so far. */
  hints: number;
  /** Somebody reads, and takes note of further hints. */
  looking: boolean;
}

function noOrder(): Brought {
  return { revision: 0, text: null, failures: 0, retry: undefined, hints: 0, looking: false };
}

/** Delivers each slot's last order from the bus. A put that is heard is only a hint; the key is read. */
export class OrderWatch implements OrderSource {
  private readonly brought: ReadonlyMap<string, Brought>;
  private readonly follower: KeyFollower;
  private sessions = 0;
  private stopped = false;

  constructor(
    private readonly bus: BusConnection,
    private readonly service: string,
    private readonly host: string,
    slots: readonly string[],
    /** Throws if the order could not be journalled; it is then delivered again. */
    private readonly onOrder: (slot: string, text: string) => void,
    /** Refreshes the routes and edges that an order is judged by: both may have just changed. Never rejects. */
    private readonly refresh: () => Promise<void>,
    private readonly log: Logger,
  ) {
    this.brought = new Map(slots.map((slot) => [slot, noOrder()]));
    this.follower = new KeyFollower(bus, buckets.orders, keys.order(service, host, "*"), this, log);
  }

  start(): void {
    // Before the follower's own listener, which reads.
    this.bus.on("up", this.onUp);
    this.follower.start();
  }

  stop(): void {
    this.stopped = true;
    this.bus.off("up", this.onUp);
    this.follower.stop();
    for (const { retry } of this.brought.values()) clearTimeout(retry);
  }

  onPut(key: string): void {
    const slot = key.split(".").at(-1) as string;
    const brought = this.brought.get(slot);
    if (!brought) return;
    brought.hints++;
    if (!brought.looking) void this.readNewer(slot, brought);
  }

  async read(): Promise<void> {
    await Promise.all([...this.brought.keys()].map((slot) => this.readSlot(slot)));
  }

  private readonly onUp = (): void => {
    // The bucket may have been replaced, with revisions that start over.
    this.sessions++;
    for (const brought of this.brought.values()) brought.revision = 0;
  };

  /** Reads until what the last hint was about is here. */
  private async readNewer(slot: string, brought: Brought): Promise<void> {
    brought.looking = true;
    let late = 0;
    for (let wait: number | undefined = 0; wait !== undefined && !this.stopped; ) {
      const { hints } = brought;
      const found = await this.readSlot(slot);
      if (brought.hints !== hints) {
        late = 0;
        wait = GAP_MS;
      } else wait = found === "nothing new" ? LATE_MS[late++] : undefined;
      if (wait !== undefined) await sleep(wait, undefined, { ref: false });
    }
    brought.looking = false;
  }

  /** Delivers the slot's order, unless it already was. */
  private async readSlot(slot: string): Promise<"brought" | "nothing new" | "failed"> {
    const brought = this.brought.get(slot) as Brought;
    const session = this.sessions;
    try {
      const entry = await this.bus.read(buckets.orders, keys.order(this.service, this.host, slot));
      const text = entry?.text ?? null;
      if (entry === null || text === null || entry.revision <= brought.revision) return "nothing new";
      await this.refresh();
      // Another read may have been faster, with this order or a newer one.
      const late = session !== this.sessions || entry.revision <= brought.revision;
      if (this.stopped || late) return "nothing new";
      // After a reconnection: an order that was delivered before it.
      const known = brought.revision === 0 && brought.text === text;
      this.log.debug({ slot, revision: entry.revision, known }, "order was read");
      if (!known) this.onOrder(slot, text);
      brought.revision = entry.revision;
      brought.text = text;
      brought.failures = 0;
      clearTimeout(brought.retry);
      return known ? "nothing new" : "brought";
    } catch (error) {
      this.log.warn({ err: error, slot }, "order could not be journalled; it will be read again");
      this.readLater(slot, brought);
      return "failed";
    }
  }

  private readLater(slot: string, brought: Brought): void {
    clearTimeout(brought.retry);
    if (this.stopped) return;
    const waitMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** brought.failures++);
    // If the bus is away, its return triggers the read.
    brought.retry = setTimeout(() => this.bus.connected && void this.readSlot(slot), waitMs);
  }
}
