import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { buckets, keys, subjects } from "../../protocol/index.ts";
import type { Bus } from "./bus.ts";

/** The last values are read again this often, whatever was heard. */
const REREAD_MS = 60_000;
/** After a hint a replica may still answer with the value before. */
const LATE_MS = [50, 250, 1_000];

/**
 * Brings each slot's last order. A put into the bucket is an ordinary message, which is taken as a hint only: it may be one that the
 * stream refused, and has no revision. The value is then read, so that no consumer per host is needed, which matters at thousands of hosts.
 */
export class OrderWatch {
  private readonly seen = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;
  private subscribed = false;

  constructor(
    private readonly bus: Bus,
    private readonly service: string,
    private readonly host: string,
    private readonly slots: readonly string[],
    /** Throws where the order could not be taken down; it is then brought again. */
    private readonly onOrder: (slot: string, text: string) => void,
    private readonly log: Logger,
  ) {}

  start(): void {
    this.bus.on("up", () => this.onUp());
    this.timer = setInterval(() => this.readAll(), REREAD_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private onUp(): void {
    if (!this.subscribed && this.bus.connection) {
      this.subscribed = true;
      this.bus.connection.subscribe(subjects.orderPuts(this.service, this.host), {
        callback: (_error, message) => {
          const slot = message.subject.split(".").at(-1) as string;
          if (this.slots.includes(slot)) void this.readNewer(slot);
        },
      });
    }
    this.readAll();
  }

  private readAll(): void {
    if (this.bus.connected) for (const slot of this.slots) void this.read(slot);
  }

  private async readNewer(slot: string): Promise<void> {
    for (const wait of LATE_MS) {
      if (await this.read(slot)) return;
      await sleep(wait, undefined, { ref: false });
    }
    await this.read(slot);
  }

  /** Returns whether there was an order that had not been brought yet. */
  private async read(slot: string): Promise<boolean> {
    try {
      const kv = await this.bus.kv(buckets.orders);
      const entry = await kv.get(keys.order(this.service, this.host, slot));
      if (entry?.operation !== "PUT" || entry.revision <= (this.seen.get(slot) ?? 0)) return false;
      this.onOrder(slot, entry.string());
      this.seen.set(slot, entry.revision);
      return true;
    } catch (error) {
      this.log.warn({ err: error, slot }, "order could not be taken; it is read again");
      return false;
    }
  }
}
