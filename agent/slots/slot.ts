import { EventEmitter } from "node:events";
import { backoffMs } from "../../daemon/backoff.ts";
import {
  DrainCancelledError,
  InternalError,
  type SlotdError,
  SlotStateError,
  toSlotdError,
} from "../../protocol/errors.ts";
import type { WireError } from "../../protocol/host-status.ts";
import { type Order, orderVersion } from "../../protocol/order.ts";
import type { SlotJournal } from "../journal/schema.ts";
import type { Pool } from "../workers/pool.ts";
import { decide, type SlotView, type Step } from "./decide.ts";
import type { SlotDependencies } from "./dependencies.ts";
import { judgeCrashLoop } from "./judge-crash-loop.ts";
import { Machine } from "./machine.ts";
import { OrderBook } from "./order-book.ts";
import { INTERRUPTIBLE, keepsVersion, performStep } from "./perform-step.ts";
import { routedBy } from "./routed-by.ts";
import { type DrainBounds, SlotRuntime, Superseded } from "./slot-runtime.ts";
import { Wakeup } from "./wakeup.ts";

/** Retry delay bounds for a step that failed. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** How long the agent's own end waits for the bus to store a withdrawal. */
export const shutdownWithdrawMs = 3_000;

/**
 * One slot: a port and a share of the workers. It moves what is towards what is wanted, one step at a time, and never
 * waits for another slot. What is wanted is in the journal. The protocol's `slotStates` describes the states,
 * `transitions` says how one leads to another, and `decide` says which step is next.
 */
export class Slot extends EventEmitter<{ change: [] }> {
  readonly machine = new Machine();
  readonly orders: OrderBook;
  readonly runtime: SlotRuntime;
  lastError: WireError | null = null;
  private ending: "no" | "graceful" | "forced" | "left" = "no";
  /** An operator asked for a restart, or it is time to retry a proven release. */
  private retry = false;
  private failures = 0;
  private judgingCrashLoop = false;
  private retryTimer: NodeJS.Timeout | undefined;
  private current: { step: Step; abort: AbortController } | null = null;
  private readonly wakeup = new Wakeup();

  constructor(private readonly deps: SlotDependencies) {
    super();
    const emit: SlotDependencies["emit"] = (event) => {
      deps.emit(event);
      this.emit("change");
    };
    this.orders = new OrderBook(deps.name, deps.record, emit, deps.log);
    this.runtime = new SlotRuntime({ ...deps, emit }, this.machine);
    this.runtime.on("change", () => this.emit("change"));
    this.runtime.on("looping", (pool, ends) => void this.onCrashLoop(pool, ends));
    this.machine.on("change", (next, was, event) => {
      if (next === was) return;
      const version = this.runtime.versionFact();
      deps.log.info({ state: next, was, event, ...version }, "state changed");
      emit({ kind: "state", message: `${was} → ${next}`, ...version });
    });
  }

  get name(): string {
    return this.deps.name;
  }

  get journal(): SlotJournal {
    return this.deps.record.current;
  }

  /** Who still routes to the slot's version, as text; null if nobody is known to. */
  get routedBy(): string | null {
    const version = this.runtime.resident?.release.version;
    return version === undefined ? null : routedBy(version, this.deps.traffic());
  }

  /** Whether the slot holds that version, or is about to. */
  uses(version: string): boolean {
    const { pending } = this.orders;
    const coming = pending?.action === "install" ? orderVersion(pending) : undefined;
    return this.runtime.resident?.release.version === version || coming === version;
  }

  /**
   * Receives an order as it came from the bus. If it is refused, the status says why.
   * @throws JournalUnwritableError if it could not be journalled; it has to be delivered again.
   */
  receiveOrder(text: string): void {
    try {
      if (this.orders.admitOrder(text, this.deps.traffic()) === null) return;
    } catch (error) {
      this.report(toSlotdError(error));
      throw error;
    }
    this.lastError = null;
    this.failures = 0;
    clearTimeout(this.retryTimer);
    this.interrupt();
  }

  /** Drains the slot and keeps it drained, with its workers running, until `undrain` or a new order. */
  drain(by: string, reason?: string): void {
    const { state } = this.machine;
    const { pending } = this.orders;
    if (state !== "serving" && state !== "draining")
      throw new SlotStateError(this.name, state, "drain", "only a slot that serves can be drained");
    if (pending) throw new SlotStateError(this.name, state, "drain", `order ${pending.id} is under way`);
    const why = reason === undefined ? {} : { reason };
    this.deps.record.update({ held: { by, ...why } });
    this.deps.emit({ kind: "drain", message: `drain was asked for by ${by}`, facts: why });
    this.wakeup.call();
  }

  /** Cancels a drain, an operator's or an order's: the same processes register again. */
  undrain(by: string): void {
    const { state } = this.machine;
    if (state !== "draining")
      throw new SlotStateError(this.name, state, "undrain", "only a drain in progress or a held one can be cancelled");
    const { pending } = this.orders;
    const stays = { held: null, leaving: false };
    const cancelled = new DrainCancelledError(this.runtime.resident?.release.version ?? "");
    if (pending) this.orders.finish(pending, "cancelled", cancelled, stays);
    else this.deps.record.update(stays);
    this.deps.emit({ kind: "drain", message: `drain was cancelled by ${by}` });
    this.interrupt();
  }

  /** Replaces the workers one by one, or retries a failed slot. */
  restart(by: string): void {
    const { state } = this.machine;
    if ((state !== "serving" && state !== "failed") || !this.runtime.resident)
      throw new SlotStateError(this.name, state, "restart", "only a slot that serves or has failed can be restarted");
    if (this.journal.leaving && !this.orders.pending)
      throw new SlotStateError(this.name, state, "restart", "its version was ordered away; install it again instead");
    if (this.journal.condemned) this.lastError = null;
    this.deps.record.update({ condemned: null });
    this.deps.emit({ kind: "worker", message: `restart was asked for by ${by}` });
    this.retry = true;
    this.wakeup.call();
  }

  /** Drains and stops the workers, and ends the reconciler. Forced: without waiting for requests. The release stays. */
  shutDown(mode: "graceful" | "forced"): void {
    this.ending = mode;
    this.interrupt();
  }

  /** Ends the reconciler and stops watching the workers, which keep running. */
  leave(): void {
    this.ending = "left";
    this.runtime.abandon();
    // A stop under way is completed by the next agent: it must not be hurried.
    if (this.current?.step !== "stop") this.current?.abort.abort(new Superseded());
    this.wakeup.call();
  }

  /** Reconciles until it is shut down. */
  async run(): Promise<void> {
    while (this.ending !== "left") {
      const step = decide(this.view());
      if (step !== null) {
        await this.runStep(step);
        continue;
      }
      if (this.ending !== "no") break;
      await this.wakeup.wait();
    }
    clearTimeout(this.retryTimer);
  }

  /** Takes over what an earlier agent left. Only then is the state meaningful. */
  async adoptLeftovers(): Promise<void> {
    const last = this.journal.order;
    this.lastError = this.journal.condemned ?? last?.error ?? null;
    try {
      await this.runtime.takeOver();
      const { resident, pool } = this.runtime;
      const failed = this.journal.condemned !== null || (!resident?.proven && last?.outcome === "failed");
      if (!pool && resident && failed) this.machine.send("fail");
      else if (!pool) this.machine.send("clear");
    } catch (error) {
      this.report(toSlotdError(error));
      // What was taken over before the error keeps serving.
      if (this.runtime.serves || !this.machine.knows("fail")) return;
      this.machine.send("fail");
      this.tryAgainLater(RETRY_MIN_MS);
    }
  }

  private async runStep(step: NonNullable<Step>): Promise<void> {
    const abort = new AbortController();
    const { pending } = this.orders;
    this.current = { step, abort };
    try {
      if (step === "start" || step === "roll") this.retry = false;
      if (this.takesAway(step, pending)) this.runtime.noteLeaving();
      await performStep(step, {
        runtime: this.runtime,
        pending,
        drainBounds: this.drainBounds(pending),
        signal: abort.signal,
        onSettled: (order) => this.orders.finish(order, "done"),
      });
      this.failures = 0;
    } catch (error) {
      if (!(error instanceof Superseded)) await this.onFailure(step, pending, toSlotdError(error));
    } finally {
      this.current = null;
      this.runtime.setProgress(null);
    }
  }

  private view(): SlotView {
    const { pending } = this.orders;
    const { resident, pool, drained } = this.runtime;
    return {
      state: this.machine.state,
      resident,
      pending,
      staged: pending?.action === "install" && this.runtime.isStaged(pending.release),
      running: pool !== null,
      drained,
      held: this.journal.held !== null,
      leaving: this.journal.leaving,
      crashLooped: this.journal.condemned !== null,
      shutdown: this.ending !== "no",
      retry: this.retry,
    };
  }

  private drainBounds(pending: Order | null): DrainBounds {
    const ordered = pending?.action === "uninstall" ? pending.drainTimeoutMs : undefined;
    const reason = this.ending === "forced" ? "the agent was told to end at once" : pending?.reason;
    return {
      timeoutMs: ordered ?? this.deps.config.drain.timeout_ms,
      ...(this.ending !== "no" && { withdrawTimeoutMs: shutdownWithdrawMs }),
      forced: this.ending === "forced" || pending?.force ? reason : undefined,
    };
  }

  private async onFailure(step: NonNullable<Step>, pending: Order | null, error: SlotdError): Promise<void> {
    const { machine } = this;
    this.report(error, pending);
    if (!this.runtime.serves && machine.knows("fail")) machine.send("fail");
    try {
      // An order whose outcome can't be journalled is not at fault: it is resumed once the journal can be written.
      const fails = step !== "drain" && step !== "roll" && error.code !== "JOURNAL_UNWRITABLE";
      const leaves = this.takesAway(step, pending) ? { leaving: true } : {};
      if (pending && fails) this.orders.finish(pending, "failed", error, leaves);
    } catch (unwritable) {
      this.deps.log.error({ err: unwritable }, "order's failure could not be recorded");
    }
    const wait = backoffMs(this.failures++, RETRY_MIN_MS, RETRY_MAX_MS);
    this.tryAgainLater(wait);
    if (decide(this.view()) === step) await this.wakeup.wait(wait);
  }

  /** Whether a step ends the workers of a version because an order wants another one there, or none. */
  private takesAway(step: NonNullable<Step>, pending: Order | null): boolean {
    const version = this.runtime.resident?.release.version;
    return step === "stop" && this.ending === "no" && version !== undefined && !keepsVersion(pending, version);
  }

  /** Retries a version that had served, after a failure: the cause may be gone by then. */
  private tryAgainLater(waitMs: number): void {
    const { condemned, leaving } = this.journal;
    const isWanted = this.runtime.resident?.proven && condemned === null && !leaving;
    if (this.machine.state !== "failed" || !isWanted || this.orders.pending) return;
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => {
      this.retry = true;
      this.wakeup.call();
    }, waitMs);
  }

  /** The workers of a serving slot keep ending: takes the slot out of service until a new order or a restart. */
  private async onCrashLoop(pool: Pool, ends: number): Promise<void> {
    if (this.judgingCrashLoop) return;
    this.judgingCrashLoop = true;
    const { runtime, orders } = this;
    try {
      const error = await judgeCrashLoop(pool, ends, { runtime, orders, config: this.deps.config });
      if (!error) return;
      const { pending } = orders;
      this.report(error, pending);
      const condemned = { condemned: this.lastError };
      if (pending) orders.finish(pending, "failed", error, condemned);
      else this.deps.record.update(condemned);
      this.interrupt();
    } catch (err) {
      this.deps.log.error({ err }, "verdict on a crash loop could not be journalled; it will be reached again");
    } finally {
      this.judgingCrashLoop = false;
    }
  }

  private report(error: SlotdError, order?: Order | null): void {
    const version = order ? orderVersion(order) : this.runtime.resident?.release.version;
    const facts = { ...(version !== undefined && { version }), ...(order && { orderId: order.id }) };
    this.lastError = { ...error.toWire(), at: new Date().toISOString(), ...(order && { orderId: order.id }) };
    const unexpected = error instanceof InternalError ? { err: error.cause ?? error } : {};
    this.deps.log.error({ ...this.lastError, ...facts, ...unexpected }, "step failed");
    this.deps.emit({ kind: "error", message: error.message, code: error.code, ...facts });
    this.emit("change");
  }

  /** Wakes the reconciler, and interrupts the current step if possible. A stop can only be hurried. */
  private interrupt(): void {
    const { current } = this;
    const hurried = current?.step === "stop" && this.drainBounds(this.orders.pending).forced !== undefined;
    if (current && (hurried || INTERRUPTIBLE.includes(current.step))) current.abort.abort(new Superseded());
    this.wakeup.call();
  }
}
