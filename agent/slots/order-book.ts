import type { Logger } from "pino";
import type { ErrorCode } from "../../protocol/error-codes.ts";
import { type SlotdError, toSlotdError } from "../../protocol/errors.ts";
import type { WireError } from "../../protocol/host-status.ts";
import { type Order, orderVersion, parseOrder } from "../../protocol/order.ts";
import type { OrderOutcome } from "../../protocol/states.ts";
import type { SlotRecord } from "../journal/journal.ts";
import type { SlotJournal } from "../journal/schema.ts";
import type { EmitEvent } from "./dependencies.ts";
import { fingerprint, judgeOrder } from "./judge-order.ts";
import { Refusals, type Untold } from "./refusals.ts";
import type { Traffic } from "./routed-by.ts";

/** How many outcomes of earlier orders are kept, to answer a repeated order. */
const HISTORY = 32;
/** Refusals that depend on what the slot held or who used it. They are recorded, so that a repeat is not judged by a
 * later state. */
const DEPENDENT: readonly ErrorCode[] = ["DIGEST_MISMATCH", "VERSION_NOT_INSTALLED", "VERSION_IN_USE"];

/** The orders of one slot: the one in progress, the outcomes of earlier ones, and the reason of the last refusal. */
export class OrderBook {
  /** Why the last order was refused; null after one was accepted. */
  refused: WireError | null = null;
  private readonly refusals = new Refusals((untold) => this.tellUntold(untold));

  constructor(
    private readonly slot: string,
    private readonly record: SlotRecord,
    private readonly emit: EmitEvent,
    private readonly log: Logger,
  ) {}

  /** The order in progress. */
  get pending(): Order | null {
    const last = this.record.current.order;
    return last?.outcome === "pending" ? last.order : null;
  }

  /**
   * Judges an order as it came from the bus, and journals it if it is accepted. A bad order never throws: the status
   * says why it was refused.
   * @returns the order, if it was accepted and journalled; null if it was refused or seen before.
   * @throws JournalUnwritableError if it could not be journalled; nothing has changed, and it has to be delivered
   * again.
   */
  admitOrder(text: string, traffic: Traffic): Order | null {
    let order: Order;
    try {
      order = parseOrder(text);
    } catch (error) {
      this.refuse(toSlotdError(error));
      return null;
    }
    const judged = judgeOrder(this.slot, order, this.record.current, traffic);
    switch (judged.verdict) {
      case "accept":
        this.accept(order);
        return order;
      case "repeat":
        if (judged.seen.outcome === "refused") this.refused = judged.seen.error ?? null;
        this.log.debug({ orderId: order.id, outcome: judged.seen.outcome }, "order was seen before");
        return null;
      case "refuse":
        this.refuse(judged.error, order);
        return null;
    }
  }

  /**
   * Journals the outcome of an order, unless it is no longer in progress.
   * @param change what changes with the outcome, in the same write: no crash can separate them
   */
  finish(order: Order, outcome: OrderOutcome, error?: SlotdError, change: Partial<SlotJournal> = {}): void {
    if (this.pending?.id !== order.id) return;
    const facts = { outcome, ...(error && { error: { ...error.toWire(), orderId: order.id } }) };
    const history = this.record.current.history.map((entry) =>
      entry.id === order.id ? { ...entry, ...facts } : entry,
    );
    this.record.update({ order: { order, ...facts }, history, ...change });
    this.announce(order, `order was ${outcome}`, error);
  }

  private accept(order: Order): void {
    const { current } = this.record;
    const { pending } = this;
    const history = current.history.map((entry) =>
      entry.id === pending?.id ? { ...entry, outcome: "superseded" as const } : entry,
    );
    const entry = { id: order.id, fingerprint: fingerprint(order), outcome: "pending" as const };
    this.record.update({
      epoch: Math.max(current.epoch, order.epoch),
      order: { order, outcome: "pending" },
      history: [...history, entry].slice(-HISTORY),
      held: null,
      condemned: null,
      leaving: this.takesAway(order),
    });
    this.refused = null;
    if (pending) this.announce(pending, "order was superseded");
    this.announce(order, "order was accepted");
  }

  /** Whether the slot's version is ordered away: by this order, or by an earlier one that this one does not revoke. */
  private takesAway(order: Order): boolean {
    const { resident, leaving } = this.record.current;
    const isAboutResident = resident?.release.version === orderVersion(order);
    return isAboutResident ? order.action === "uninstall" : leaving;
  }

  private recordRefusal(order: Order, error: WireError): void {
    const { order: last, history } = this.record.current;
    const outcome = "refused" as const;
    const entry = { id: order.id, fingerprint: fingerprint(order), outcome, error };
    // However many are refused, the current order stays in the history.
    const current = history.filter(({ id }) => id === last?.order.id);
    const others = [...history.filter(({ id }) => id !== last?.order.id), entry];
    this.record.update({ history: [...others.slice(current.length - HISTORY), ...current] });
  }

  private refuse(error: SlotdError, order?: Order): void {
    const wire = { ...error.toWire(), ...(order && { orderId: order.id }), at: new Date().toISOString() };
    if (order && DEPENDENT.includes(error.code)) this.recordRefusal(order, wire);
    this.refused = wire;
    if (!this.refusals.isNews(wire)) return;
    this.log.warn({ ...wire }, "order was refused");
    this.emit({
      kind: "order",
      message: wire.message,
      code: wire.code,
      ...(wire.orderId && { orderId: wire.orderId }),
      ...(wire.field && { facts: { field: wire.field } }),
    });
  }

  private tellUntold({ count, last }: Untold): void {
    const message = `${count} more orders were refused, the last: ${last.message}`;
    this.log.warn({ count, last }, "more orders were refused");
    this.emit({ kind: "order", message, code: last.code, facts: { count } });
  }

  private announce(order: Order, what: string, error?: SlotdError): void {
    const version = orderVersion(order);
    const message = `${what}: ${order.action} ${version} (epoch ${order.epoch}, by ${order.issuedBy})`;
    this.log.info({ orderId: order.id, epoch: order.epoch, version, ...(error && { code: error.code }) }, what);
    this.emit({ kind: "order", message, orderId: order.id, version, ...(error && { code: error.code }) });
  }
}
