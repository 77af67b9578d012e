import type { Bucket } from "../../../../bus/buckets.ts";
import { openBucket } from "../../../../bus/buckets.ts";
import { readEntries } from "../../../../bus/list-bucket.ts";
import { isConflict } from "../../../../bus/retry.ts";
import type { BusSession } from "../../../../bus/session.ts";
import type { Order } from "../../../../protocol/order.ts";
import type { Release } from "../../../../protocol/release.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { ordersIn } from "../../../orders/put-orders.ts";
import type { OnMalformed } from "../../../values/malformed.ts";
import { FencedError } from "../../deploy-errors.ts";

const PUTS_AT_ONCE = 64;

interface Slot {
  revision: number;
  /** Null where it was deleted or can't be read. */
  order: Order | null;
}

/**
 * A service's orders on the bus, read once. An order is replaced by compare-and-set on what was read, so that one of a
 * later epoch is never overwritten.
 */
export class OrderLedger {
  private readonly slots = new Map<string, Slot>();
  private readonly orders: Order[] = [];
  private readonly queue: (() => void)[] = [];
  private puts = 0;

  private constructor(
    private readonly bus: BusSession,
    private readonly kv: Bucket,
    private readonly service: string,
  ) {}

  static async fetch(bus: BusSession, service: string, onMalformed: OnMalformed): Promise<OrderLedger> {
    const kv = await openBucket(bus, buckets.orders);
    const orders = new OrderLedger(bus, kv, service);
    const entries = await readEntries(bus, kv, keys.order(service, "*", "*"));
    for (const { entry, order } of ordersIn(entries, onMalformed)) {
      orders.slots.set(entry.key, { revision: entry.revision, order });
      if (order) orders.orders.push(order);
    }
    return orders;
  }

  /** All orders that were read, including the earlier ones of each slot, oldest first. */
  get known(): readonly Order[] {
    return this.orders;
  }

  /** The order that holds for a slot. */
  latestOrder(host: string, slot: string): Order | null {
    return this.slots.get(keys.order(this.service, host, slot))?.order ?? null;
  }

  /** A version's release, as it was last ordered. */
  releaseOf(version: string): Release | undefined {
    const isInstall = (order: Order) => order.action === "install" && order.release.version === version;
    const found = this.orders.findLast(isInstall);
    return found?.action === "install" ? found.release : undefined;
  }

  /** Replaces a slot's order. @throws FencedError where one of a later epoch is there */
  async put(host: string, slot: string, order: Order): Promise<void> {
    await this.enter();
    try {
      this.bus.signal.throwIfAborted();
      await this.replace(keys.order(this.service, host, slot), `${host}'s slot ${slot}`, order);
    } finally {
      this.leave();
    }
  }

  private async replace(key: string, what: string, order: Order): Promise<void> {
    const value = JSON.stringify(order);
    for (;;) {
      const stored = this.slots.get(key);
      if (stored?.order?.id === order.id) return;
      if (stored?.order && stored.order.epoch > order.epoch)
        throw new FencedError(`the order for ${what}`, stored.order.epoch, order.epoch);
      try {
        // A deleted entry has a revision too; a key that was never written has revision 0.
        const revision = await this.bus.persist(() => this.kv.put(key, value, { previousSeq: stored?.revision ?? 0 }));
        this.slots.set(key, { revision, order });
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
      // Another order came in between, or the answer to our own put was lost: read which.
      const entry = await this.bus.persist(() => this.kv.get(key));
      if (entry === null) this.slots.delete(key);
      else {
        const [now] = ordersIn([entry], () => {});
        this.slots.set(key, { revision: entry.revision, order: now?.order ?? null });
      }
    }
  }

  private async enter(): Promise<void> {
    if (this.puts < PUTS_AT_ONCE) this.puts++;
    else await new Promise<void>((resolve) => this.queue.push(resolve));
  }

  private leave(): void {
    const next = this.queue.shift();
    if (next) next();
    else this.puts--;
  }
}
