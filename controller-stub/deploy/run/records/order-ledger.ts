import type { KV } from "@nats-io/kv";
import { isConflict } from "../../../../bus/retry.ts";
import { OrderMalformedError } from "../../../../protocol/errors.ts";
import { type Order, parseOrder } from "../../../../protocol/order.ts";
import type { Release } from "../../../../protocol/release.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { openBucket, readEntries } from "../../../buckets.ts";
import type { Bus } from "../../../bus.ts";
import { FencedError } from "../../deploy-errors.ts";

const PUTS_AT_ONCE = 64;

interface Slot {
  revision: number;
  /** Null where it was deleted, or can't be read. */
  order: Order | null;
}

/**
 * The orders of a service as the bus has them, read once. Each is replaced by compare-and-set on what was read, so that one of a later
 * epoch is never written over.
 */
export class OrderLedger {
  private readonly slots = new Map<string, Slot>();
  private readonly orders: Order[] = [];
  private readonly queue: (() => void)[] = [];
  private puts = 0;

  private constructor(
    private readonly bus: Bus,
    private readonly kv: KV,
    private readonly service: string,
  ) {}

  static async fetch(bus: Bus, service: string): Promise<OrderLedger> {
    const kv = await openBucket(bus, buckets.orders);
    const orders = new OrderLedger(bus, kv, service);
    for (const entry of await readEntries(bus, kv, keys.order(service, "*", "*"))) {
      const order = entry.operation === "PUT" ? tryParse(entry.string()) : null;
      orders.slots.set(entry.key, { revision: entry.revision, order });
      if (order) orders.orders.push(order);
    }
    return orders;
  }

  /** All that were read, earlier ones of each slot too, oldest first. */
  get known(): readonly Order[] {
    return this.orders;
  }

  /** What a slot is to hold. */
  latest(host: string, slot: string): Order | null {
    return this.slots.get(keys.order(this.service, host, slot))?.order ?? null;
  }

  /** What was last ordered of a version. */
  release(version: string): Release | undefined {
    const isInstall = (order: Order) => order.action === "install" && order.release.version === version;
    const found = this.orders.findLast(isInstall);
    return found?.action === "install" ? found.release : undefined;
  }

  /** Puts an order in the place of the one that was there. @throws FencedError where a later epoch's is there */
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
      const there = this.slots.get(key);
      if (there?.order?.id === order.id) return;
      if (there?.order && there.order.epoch > order.epoch)
        throw new FencedError(`the order for ${what}`, there.order.epoch, order.epoch);
      try {
        // An entry that was deleted has a revision as well; without any it is 0.
        const revision = await this.bus.persist(() => this.kv.put(key, value, { previousSeq: there?.revision ?? 0 }));
        this.slots.set(key, { revision, order });
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
      // Another one ordered in the meantime, or the answer to our own put was lost: what is there tells.
      const entry = await this.bus.persist(() => this.kv.get(key));
      if (entry === null) this.slots.delete(key);
      else {
        const now = entry.operation === "PUT" ? tryParse(entry.string()) : null;
        this.slots.set(key, { revision: entry.revision, order: now });
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

function tryParse(text: string): Order | null {
  try {
    return parseOrder(text);
  } catch (error) {
    if (error instanceof OrderMalformedError) return null;
    throw error;
  }
}
